# One program, static: a package without dependencies, which only a change of its own crates changes.
{
  lib,
  dependencies,
  name,
  description,
}:
dependencies.buildStatic {
  pname = name;
  src = (import ./source.nix { inherit lib; }).program name;

  # `strip = true` of Cargo.toml has no effect here: cargo's hook turns it off in favour of this.
  stripAllList = [ "bin" ];

  # Its closure is itself.
  allowedReferences = [ ];

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    program=$out/bin/${name}
    if ''${READELF:-readelf} --program-headers $program | grep --quiet INTERP ||
      ''${READELF:-readelf} --dynamic $program | grep NEEDED; then
      echo "$program is not static"
      exit 1
    fi
    env -i $program --version
    runHook postInstallCheck
  '';

  meta = import ./meta.nix { inherit lib; } // {
    inherit description;
    mainProgram = name;
  };
}

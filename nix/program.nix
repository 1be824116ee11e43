# One program of the workspace, as a package without dependencies.
{
  pkgs,
  workspace,
  name,
  description,
}:
pkgs.runCommand "${name}-${workspace.version}"
  {
    pname = name;
    inherit (workspace) version;
    # Its closure is itself.
    allowedReferences = [ ];
    meta = {
      inherit description;
      mainProgram = name;
      inherit (workspace.meta) license platforms;
    };
  }
  ''
    install -D --mode=755 ${workspace}/bin/${name} $out/bin/${name}
  ''

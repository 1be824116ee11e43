# The programs of a Debian as packages: folders with links to them. One that the Debian lacks is missing in its package.
{ system }:
let
  link =
    name: folder: programs:
    derivation {
      inherit
        name
        system
        folder
        programs
        ;
      builder = "/bin/sh";
      args = [
        "-c"
        ''
          /usr/bin/mkdir --parents $out/bin
          for program in $programs; do
            if [ -e $folder/$program ]; then /usr/bin/ln --symbolic $folder/$program $out/bin/$program; fi
          done
        ''
      ];
    };
  everythingIn =
    name: folder:
    derivation {
      inherit name system folder;
      builder = "/bin/sh";
      args = [
        "-c"
        "/usr/bin/mkdir --parents $out/bin; for program in $folder/*; do /usr/bin/ln --symbolic $program $out/bin/; done"
      ];
    };
  ofDebian = name: programs: link name "/usr/bin" programs;
  # ./dev nix puts what cargo has installed here.
  ofCargo = name: link name "/tools" [ name ];
  # The toolchain of rustup.
  ofRust = name: programs: link name "/rust/bin" programs;

  coreutils = [
    "arch"
    "b2sum"
    "base32"
    "base64"
    "basename"
    "basenc"
    "cat"
    "chgrp"
    "chmod"
    "chown"
    "cksum"
    "comm"
    "cp"
    "csplit"
    "cut"
    "date"
    "dd"
    "df"
    "dirname"
    "du"
    "echo"
    "env"
    "expand"
    "expr"
    "factor"
    "false"
    "fmt"
    "fold"
    "groups"
    "head"
    "hostid"
    "id"
    "install"
    "join"
    "link"
    "ln"
    "logname"
    "ls"
    "md5sum"
    "mkdir"
    "mkfifo"
    "mknod"
    "mktemp"
    "mv"
    "nice"
    "nl"
    "nohup"
    "nproc"
    "numfmt"
    "od"
    "paste"
    "pathchk"
    "pr"
    "printenv"
    "printf"
    "ptx"
    "pwd"
    "readlink"
    "realpath"
    "rm"
    "rmdir"
    "seq"
    "sha1sum"
    "sha224sum"
    "sha256sum"
    "sha384sum"
    "sha512sum"
    "shred"
    "shuf"
    "sleep"
    "sort"
    "split"
    "stat"
    "stdbuf"
    "stty"
    "sum"
    "sync"
    "tac"
    "tail"
    "tee"
    "test"
    "timeout"
    "touch"
    "tr"
    "true"
    "truncate"
    "tsort"
    "tty"
    "uname"
    "unexpand"
    "uniq"
    "unlink"
    "wc"
    "who"
    "whoami"
    "yes"
  ];
in
{
  # On the PATH of every build, as in nixpkgs' stdenv.
  standard = ofDebian "standard-programs" (
    [
      "bash"
      "sh"
      "awk"
      "bzip2"
      "cmp"
      "diff"
      "find"
      "xargs"
      "grep"
      "egrep"
      "fgrep"
      "gzip"
      "gunzip"
      "make"
      "patch"
      "sed"
      "tar"
      "xz"
    ]
    ++ coreutils
  );
  compiler = ofDebian "gcc" [
    "ar"
    "as"
    "cc"
    "gcc"
    "x86_64-linux-gnu-gcc"
    "g++"
    "c++"
    "ld"
    "musl-gcc"
    "nm"
    "objcopy"
    "objdump"
    "ranlib"
    "readelf"
    "strip"
    "getconf"
    "ldd"
  ];

  bash = ofDebian "bash" [ "bash" ];
  coreutils = ofDebian "coreutils" coreutils;
  bubblewrap = ofDebian "bubblewrap" [ "bwrap" ];
  curl = ofDebian "curl" [ "curl" ];
  file = ofDebian "file" [ "file" ];
  gnused = ofDebian "gnused" [ "sed" ];
  jq = ofDebian "jq" [ "jq" ];
  netcat = ofDebian "netcat" [ "nc" ];
  shellcheck = ofDebian "shellcheck" [ "shellcheck" ];
  systemd = ofDebian "systemd" [ "systemd-analyze" ];
  util-linux = ofDebian "util-linux" [
    "setpriv"
    "unshare"
    "mount"
  ];

  cargo-deny = ofCargo "cargo-deny";
  deadnix = ofCargo "deadnix";
  nixfmt = ofCargo "nixfmt";
  nixfmt-tree = ofCargo "nixfmt";

  cargo = ofRust "cargo" [ "cargo" ];
  clippy = ofRust "clippy" [
    "cargo-clippy"
    "clippy-driver"
  ];
  rust-analyzer = ofRust "rust-analyzer" [ "rust-analyzer" ];
  rustc = ofRust "rustc" [
    "rustc"
    "rustdoc"
  ];
  rustfmt = ofRust "rustfmt" [
    "cargo-fmt"
    "rustfmt"
  ];

  postgresql = everythingIn "postgresql" "/usr/lib/postgresql/17/bin";
  rabbitmq-server = everythingIn "rabbitmq-server" "/usr/lib/rabbitmq/bin";
  beam27Packages.erlang = everythingIn "erlang" "/usr/lib/erlang/bin";
}

# What a unit does that makes secrets on this host, once, in a directory that is readable by root and by it alone.
{
  user,
  directory,
  command,
}:
import ./hardening.nix
// {
  ExecStart = command;
  User = user;
  Type = "oneshot";
  RemainAfterExit = true;
  StateDirectory = baseNameOf directory;
  StateDirectoryMode = "0700";
  WorkingDirectory = directory;
  PrivateNetwork = true;
}

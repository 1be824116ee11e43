# Sandboxing of every unit. `systemd-analyze security` rates its exposure at 1.2 of 10 or less, which a test enforces.
{
  # A user that exists while the unit runs. Its name is also the role in PostgreSQL (peer authentication).
  DynamicUser = true;
  UMask = "0077";
  # A core would hold passwords, keys and customers' data.
  LimitCORE = 0;

  CapabilityBoundingSet = [ "" ];
  AmbientCapabilities = [ "" ];
  NoNewPrivileges = true;
  RestrictSUIDSGID = true;

  DevicePolicy = "closed";
  PrivateDevices = true;
  PrivateTmp = true;
  PrivateUsers = true;
  RemoveIPC = true;

  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHome = true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  ProtectProc = "invisible";
  ProcSubset = "pid";
  ProtectSystem = "strict";

  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  RestrictAddressFamilies = [
    "AF_INET"
    "AF_INET6"
    "AF_UNIX"
  ];
  RestrictNamespaces = true;
  RestrictRealtime = true;
  SystemCallArchitectures = "native";
  SystemCallErrorNumber = "EPERM";
  SystemCallFilter = [
    "@system-service"
    "~@privileged @resources"
  ];
}

# The programs of the workspace.
{
  gateway = {
    description = "paysaga's gateway: the only door, turns HTTP commands into events";
    port = 3000;
  };
  order = {
    description = "paysaga's order service: owns the orders and their saga";
    port = 3001;
  };
  payment = {
    description = "paysaga's payment service: charges and refunds, once";
    port = 3002;
  };
  paysaga = {
    description = "paysaga's operator: runs, watches and measures the saga";
  };
}

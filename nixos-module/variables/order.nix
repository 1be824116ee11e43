# What order alone reads.
{ types }:
{
  settings = {
    SAGA_TIMEOUT = {
      type = types.duration;
      default = "15m";
      description = "How long an order may wait for the result of its payment; then it is cancelled, and its payment voided or refunded.";
    };
    RETENTION_TIMELINE = {
      type = types.retention;
      description = "How long the timeline of an order that has settled is kept (such as `90d`). Without end unless set.";
    };
  };
}

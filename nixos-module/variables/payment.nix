# What payment alone reads.
{ types }:
{
  settings = {
    RETENTION_SIMULATED_CHARGES = {
      type = types.retention;
      description = "How long the simulated provider remembers a charge that holds no money, once its payment has come to its end (such as `90d`). Without end unless set.";
    };
    PROVIDER_CONCURRENCY = {
      type = types.ints.between 1 10000;
      default = "1000";
      description = "Most calls to the payment provider at once. Divided by its latency, that is how many payments a second are possible.";
    };
    PROVIDER_TIMEOUT = {
      type = types.duration;
      default = "8s";
      description = "How long the payment provider may take to answer; after that the outcome of the call is unknown, and is looked up.";
    };
    PROVIDER_LATENCY_MS = {
      type = types.milliseconds;
      default = "100";
      description = "How long the simulated provider takes to answer, in milliseconds: a number, or a range such as `50-500`.";
    };
    PROVIDER_APPROVAL_RATE = {
      type = types.numbers.between 0 1;
      default = "1";
      description = "The share of charges that the simulated provider approves, 0 to 1. Of the others it declines three out of four, and fails one. Totals that end in .01 to .07 force: approved, declined, failed, answer lost, slow (5 seconds), refund refused, refund refused for 10 seconds.";
    };
    PROVIDER_SEED = {
      type = types.ints.unsigned;
      default = "0";
      description = "With another seed the simulated provider decides otherwise.";
    };
  };
}

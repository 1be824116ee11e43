# The services' users on the local RabbitMQ, as `paysaga definitions` names them.
rec {
  services = [
    "gateway"
    "order"
    "payment"
  ];

  vhost = "paysaga";

  # Where passwords, URLs and definitions are kept: readable by root only.
  directory = "/var/lib/paysaga-rabbitmq";
  urlFile = service: "${directory}/${service}.url";
  definitionsFile = "${directory}/definitions.json";
}

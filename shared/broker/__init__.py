"""RabbitMQ as Gatepost uses it: names, connection, publishing and consuming, each with its guards."""

# Gatepost on this host, under systemd; docs/operations.md walks through it. Needs root.
#   make install                                                   all services and the broker on one host
#   make install SERVICES="broker console" BROKER=mq.example.org   the first of several hosts
#   make install SERVICES=edge BUNDLE=mx1.example.org.tar          each other, with the bundle that the first one issued
# Again, without any of it: an upgrade of what is there. ROOT=folder lays everything there and starts nothing.

##@ Hosts

.PHONY: install uninstall roll-back
install: ## this host's services under systemd, or their upgrade (SERVICES="edge content" BUNDLE=file BROKER=name)
	@sh infra/systemd/install.sh install --services "$(SERVICES)" --hostname "$(GATEPOST_HOSTNAME)" \
	  --broker "$(BROKER)" $(if $(BUNDLE),--bundle "$(BUNDLE)") --root "$(or $(ROOT),/)"

uninstall: ## remove units and programs from this host; /etc/gatepost and data stay
	@sh infra/systemd/install.sh uninstall --root "$(or $(ROOT),/)"

roll-back: ## the programs from before the last upgrade
	@sh infra/systemd/install.sh roll-back --root "$(or $(ROOT),/)"

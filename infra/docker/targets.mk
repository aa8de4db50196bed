# The gateway as containers; docker-compose.yml tells what can be set. COMPOSE names another Compose.

##@ Containers

COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.PHONY: up down test-compose
up: ## the gateway as containers (SCALE="--scale edge=2 --scale content=3")
	$(COMPOSE) up --detach --build $(SCALE)

down: ## stop the containers; mail, secrets and signatures stay in their volumes
	$(COMPOSE) --profile observe down

test-compose: .venv/bin/python ## the containers on a real Docker engine, with Compose 1.29 and v2
	tests/compose/run.sh $(ARGS)

# Everything a developer does here. `make help` lists it. The verbs of the first two groups mean the same in containers and as
# host processes: `make up` takes what the machine has and the others follow it; RUNTIME=docker|native forces one.
.DEFAULT_GOAL := help
.PHONY: help up down clean ps logs restart upgrade rollback shell seed demo audit trace prometheus venv release bench bench-catalog bench-checkout bench-events bench-gateway soak-gateway outages-gateway test test-faults test-breaks lint lock apidocs settings-docs backup restore rotate secrets-check
export SERVICE RUNTIME BACKUP FORCE SECRET NOW SEED CHECKOUTS SCENARIO BREAK VERSION MANIFESTS AGAINST TESTS DIRTY ORDER REQUEST PROMETHEUS_PORT

## Run the shop

up:  ## Install what is missing, start everything, print where it is (GATEWAY_PORT=8080, RUNTIME=docker|native)
	@deploy/shop up
down:  ## Stop everything; nothing is lost
	@deploy/shop down
restart:  ## Restart one service or program (SERVICE=svc-orders), or all
	@deploy/shop restart
seed:  ## Fill in demo logins, products, pictures and shipping methods; again changes nothing
	@deploy/shop seed
demo:  ## Buy something through the gateway, step by step
	@deploy/shop demo
clean:  ## Stop everything and remove all it made: data, secrets, installed libraries
	@deploy/shop clean

backup:  ## Everything the running shop holds, of one moment, into .local/backups/
	@deploy/shop backup
restore:  ## A stack of what a backup holds (BACKUP=FOLDER, else the newest; FORCE=1 replaces what is there)
	@deploy/shop restore

rotate:  ## Another value for a secret or key pair, no request refused (SECRET=NAME or all; NOW=1 ends what the old one signed)
	@deploy/shop rotate

## Look inside

ps:  ## What runs, on which ports, since when
	@deploy/shop ps
logs:  ## Follow the logs of one service or program (SERVICE=svc-orders), or all
	@deploy/shop logs
shell:  ## Django's shell of one service (SERVICE=svc-orders)
	@deploy/shop shell
secrets-check:  ## Look for every secret where none may be: logs, command lines, open files, git, Docker
	@deploy/shop secrets-check
audit:  ## Compare all databases; exit code 1 and a table where they contradict each other (ARGS="--json FILE")
	@deploy/shop audit $(ARGS)
trace:  ## The way of an order through all services as a tree (ORDER=id or number, or REQUEST=X-Request-Id)
	@deploy/shop trace
prometheus:  ## Prometheus over the shop that runs as host processes, in the foreground (PROMETHEUS_PORT=9090)
	@deploy/shop prometheus

## Change it

# Always host processes: tests kill, freeze and starve what they test.
test:  ## Every test on a throwaway stack of its own, or one suite (SERVICE=svc-cart)
	@deploy/shop test
test-faults:  ## Kill, stop, cut and double everything under load (SEED=1 CHECKOUTS=200 SCENARIO=storm,backlog,rush)
	@deploy/shop test-faults
test-breaks:  ## Make each known mistake in a copy of the tree; a named test must see it (BREAK=NAME,NAME)
	@deploy/shop test-breaks
lint:  ## Style, types, and who may import whom
	@deploy/shop lint
lock:  ## Pin every library again, with hashes, from the pyproject.toml files
	@deploy/shop lock
apidocs:  ## Write the descriptions of API and events (/docs, /events) again, from the code
	@deploy/shop apidocs
settings-docs:  ## Write the table of settings (docs/settings.md) again, from the code
	@deploy/shop settings-docs
venv:  ## Install the distribution's packages and Python libraries only
	@deploy/shop venv

## Deploy one service

release:  ## Test and package one service, unless it would break what runs (SERVICE=svc-cart VERSION=1.2.0)
	@deploy/shop release
upgrade:  ## Have one service run a release, while it serves (SERVICE=svc-cart VERSION=1.2.0)
	@deploy/shop upgrade
rollback:  ## Have it run what it ran before, while it serves (SERVICE=svc-cart)
	@deploy/shop rollback

## Measure it

bench:  ## All figures with their targets beside the machine's own, and a report (ARGS="--products 10000,100000,1000000")
	@deploy/shop bench $(ARGS)
bench-catalog:  ## Lists, details and search straight from svc-catalog beside DRF (ARGS="--products 10000,100000")
	@deploy/shop bench-catalog $(ARGS)
bench-checkout:  ## Purchases a second in the shop that runs, else in a throwaway one, and what each costs (ARGS="--seconds 30")
	@deploy/shop bench-checkout $(ARGS)
bench-events:  ## Relay and consumer catching up, and from commit to effect, on a throwaway stack (ARGS="--events 30000")
	@deploy/shop bench-events $(ARGS)
bench-gateway:  ## CPU a request beside bare Nginx, a file and auth_request to Django, in four minutes
	@deploy/shop bench-gateway $(ARGS)
soak-gateway:  ## Ten minutes at 2,000 requests a second, each answer checked (ARGS="--minutes 1")
	@cd gateway && PYTHONPATH=../tests ../.local/venv/bin/python -m bench.soak $(ARGS)
outages-gateway:  ## What clients see while svc-catalog and Redis are killed under load
	@cd gateway && ../.local/venv/bin/python -m bench.outages $(ARGS)

help:  ## This list
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo

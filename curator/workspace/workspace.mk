# Keeps the banks of this workspace up to date. `curator init` wrote it once; it is yours to change.
#
#   make banks                       build the banks whose spec or inputs changed since their last build
#   make -j4 banks                   the same; builds wait for each other where they must
#   make scan SOURCES=/data/incoming
#
# A bank banks/NAME.toml is up to date when banks/.stamps/NAME.built is newer than its spec, the files and the banks
# that the spec names, and the encoder's address. To build one again: delete its stamp. To build all: make -B banks.

CURATOR ?= curator
SOURCES ?=
# Seconds that a build waits while another run holds the workspace.
WAIT ?= 3600

BANKS := $(patsubst banks/%.toml,%,$(wildcard banks/*.toml))
STAMPS := $(BANKS:%=banks/.stamps/%.built)

ifneq ($(filter scan,$(MAKECMDGOALS)),)
ifeq ($(strip $(SOURCES)),)
$(error say what to scan: make scan SOURCES=/data/incoming)
endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help banks scan check

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

banks: $(STAMPS)  ## Build the banks whose spec or inputs changed

scan: banks  ## Scan SOURCES into the lake, score and flag: make scan SOURCES=/data/incoming
	$(CURATOR) scan $(SOURCES)

check: banks  ## Examine the machine and the workspace, and run all checks
	$(CURATOR) doctor --check

# The stamp bears the time at which the build began: what changes during a build is built again by the next make.
banks/.stamps/%.built: banks/%.toml banks/.stamps/encoder
	@touch $@.begun
	$(CURATOR) bank build $* --wait $(WAIT)
	@mv $@.begun $@

# Another encoder means other vectors. This file changes only when the address does, not with all of curator.toml.
banks/.stamps/encoder: curator.toml
	@mkdir -p $(@D)
	@$(CURATOR) config >$@.all
	@sed -n '/^\[encoder\]/,/^\[/{/^address/p;}' $@.all >$@.new && rm $@.all
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# Which files and banks each spec names. Make reads these answers, and makes them anew, before it decides what to build.
banks/.stamps/%.d: banks/%.toml
	@mkdir -p $(@D)
	@$(CURATOR) bank deps $* >$@.new && mv $@.new $@

ifneq ($(filter-out help,$(or $(MAKECMDGOALS),help)),)
-include $(BANKS:%=banks/.stamps/%.d)
endif

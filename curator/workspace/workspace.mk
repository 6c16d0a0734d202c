# Runs the nights of this workspace. `curator init` wrote it once; it is yours to change.
#
#   make banks                         build the night's banks whose spec or inputs changed since they were made
#   make scan SOURCES=/data/incoming
#   make night SOURCES=/data/incoming REFERENCE=/data/known-id      for cron, Airflow, Slurm
#   make -n night SOURCES=/data/incoming                            show what it would do
#
# Set SOURCES and REFERENCE below for good, and `make night` is all. A night's banks are that of [scan] and those that
# [night] names in curator.toml; others in banks/ are experiments, which `curator bank build NAME` builds. Any target may
# run under -j: what writes waits for what writes. Which images are new only curator knows, so `scan` always runs. All
# else is a file: a bank is as new as its spec and what that names, the calibration as its banks, images and settings,
# report and export as the snapshot that every writing command publishes. To make one again: delete its stamp, or make
# -B TARGET.

CURATOR ?= curator
# What is scanned, and images known to be ID, for the threshold; without them nothing is calibrated.
SOURCES ?=
REFERENCE ?=
# The share of ID images to keep, or the p-value at which to flag. A night goes by the rule of the policy that was chosen
# by hand (`curator calibrate`, `curator use`) instead, where one was. More options of scan, calibrate, report, export.
KEEP ?= 0.95
ALPHA ?=
SCAN_OPTIONS ?=
CALIBRATE_OPTIONS ?= $(if $(ALPHA),--alpha $(ALPHA),--keep $(KEEP))
REPORT_OPTIONS ?=
EXPORT_OPTIONS ?= --format parquet --update
# Where reports and exports go.
REPORTS ?= reports
EXPORTS ?= exports/flagged
# Seconds that a writing command waits while another run holds the workspace.
WAIT ?= 3600

STAMP := banks/.stamps
# BANKS, and which files and banks the spec of each names. Make has it made anew before it decides what to build.
ifneq ($(filter-out help,$(MAKECMDGOALS)),)
include $(STAMP)/night.d
endif
BUILT := $(BANKS:%=$(STAMP)/%.built)
CALIBRATED := $(if $(strip $(REFERENCE)),$(STAMP)/calibrated)
SCANNING := $(filter night scan,$(MAKECMDGOALS))
# Exit codes 3 and 4 keep all results and say that somebody has to look: a night goes on, and ends with them.
ending = code=$$?; echo $$code >$(STAMP)/$(1).code; \
	case "$$code:$(filter night,$(MAKECMDGOALS))" in 0:*|3:night|4:night) ;; *) exit $$code;; esac

ifneq ($(SCANNING),)
ifeq ($(strip $(SOURCES)),)
$(error say what to scan: make scan SOURCES=/data/incoming)
endif
endif
ifneq ($(filter calibrate,$(MAKECMDGOALS)),)
ifeq ($(strip $(REFERENCE)),)
$(error say which images are known to be ID: make calibrate REFERENCE=/data/known-id)
endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help night banks scan calibrate report export check begin always

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

night: calibrate scan report export  ## All of a night: banks, calibrate, scan, report, export
	@for step in scan report$(if $(CALIBRATED), calibrate); do \
	  code=$$(cat $(STAMP)/$$step.code 2>/dev/null || echo 0); \
	  [ "$$code" = 0 ] || { echo "curator $$step ended with $$code" >&2; exit $$code; }; \
	done

# The codes of the last night are none of this one's.
begin:
	@rm -f $(STAMP)/*.code

scan $(BUILT): | $(if $(filter night,$(MAKECMDGOALS)),begin)

banks: $(BUILT)  ## Build the banks whose spec or inputs changed

# What judges a night is calibrated before its scan does, so that figures and conditions are of the cuts that rule.
scan: banks $(if $(filter night calibrate,$(MAKECMDGOALS)),$(CALIBRATED))  ## Scan SOURCES into the lake, score and flag: make scan SOURCES=/data/incoming
	@mkdir -p $(STAMP)
	$(CURATOR) scan $(SOURCES) --wait $(WAIT) $(SCAN_OPTIONS); $(call ending,scan)

calibrate: $(CALIBRATED)  ## Set the threshold from images known to be ID: make calibrate REFERENCE=/data/known-id

report: $(STAMP)/reported  ## Write the report of the night into REPORTS

export: $(STAMP)/exported  ## Export the flagged images to EXPORTS

check: banks  ## Examine the machine and the workspace, and run all checks
	$(CURATOR) doctor --check

# A reference that is out of reach costs no night its scan: it goes on by the cuts before, and ends with the code.
$(STAMP)/calibrated: $(BUILT) $(STAMP)/scoring $(STAMP)/reference
	@touch $@.begun
	$(CURATOR) calibrate $(REFERENCE:%=--reference %) --wait $(WAIT) $(if $(SCANNING),--unless-chosen) $(CALIBRATE_OPTIONS); \
	code=$$?; echo $$code >$(STAMP)/calibrate.code; \
	case "$$code:$(filter night,$(MAKECMDGOALS))" in 0:*) mv $@.begun $@;; *:night) ;; *) exit $$code;; esac

# The snapshot is what every writing command leaves; those of this run go first.
published/curator.duckdb: $(SCANNING:night=scan) $(if $(filter night calibrate,$(MAKECMDGOALS)),$(CALIBRATED))
	@:

$(STAMP)/reported: published/curator.duckdb
	@mkdir -p $(@D)
	$(CURATOR) report -o $(REPORTS)/ $(REPORT_OPTIONS); $(call ending,report)
	@touch $@

$(STAMP)/exported: published/curator.duckdb
	@mkdir -p $(@D)
	$(CURATOR) export flagged --to $(EXPORTS) $(EXPORT_OPTIONS)
	@touch $@

# Who makes a bank leaves its stamp, with the time at which the build began: what changes during a build is built again by
# the next make. Exit code 4 says that a bank was not learnt from the lake, or that what was learnt is no better: the
# version there stays and all goes on. The stamp is then older than everything, so that the next make tries again and
# nothing else follows.
$(STAMP)/%.built: banks/%.toml $(STAMP)/encoder
	$(CURATOR) bank build $* --wait $(WAIT) || { [ $$? = 4 ] && touch -t 197001020000 $@; }

# These files change only when what they hold does, not with all of curator.toml. Another encoder means other vectors,
# another method another threshold, and so do other reference images.
$(STAMP)/encoder: curator.toml
	@mkdir -p $(@D)
	@$(CURATOR) config >$@.all
	@sed -n '/^\[encoder\]/,/^\[/{/^address/p;}' $@.all >$@.new && rm $@.all
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# With a + in front, make -n looks as well.
$(STAMP)/scoring: always
	+@mkdir -p $(@D) && $(CURATOR) config >$@.all
	+@sed -nE '/^\[scan\]/,/^\[/{/^(bank|method)/p;}' $@.all >$@.new && rm $@.all
	+@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(STAMP)/reference: always
	+@mkdir -p $(@D) && echo '$(REFERENCE) $(CALIBRATE_OPTIONS)' >$@.new
	+@find -L $(REFERENCE) -type f -printf '%p %s %T@\n' 2>/dev/null | LC_ALL=C sort | cksum >>$@.new
	+@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(STAMP)/night.d: curator.toml $(wildcard banks/*.toml)
	@mkdir -p $(@D)
	@$(CURATOR) bank deps >$@.new && mv $@.new $@

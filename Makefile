# Each target only calls a script; meson builds.

.PHONY: help run test build fuzz mutants bench clean

help:
	@sed -n 's/^#: //p' Makefile

#: make run      run refkey: on REFKEY_PDS_URL if set, else on a demonstration network
#:               (ONCE=1: end after showing it)
run:
	@scripts/run

#: make test     every test; ONLY="unit lint" picks by name
test:
	@scripts/test $(ONLY)

#: make build    build/refkey
build:
	@scripts/build

#: make fuzz     every fuzz target for a minute (T=60: seconds); ONLY="cbor mst" picks
fuzz:
	@scripts/fuzz $(ONLY)

#: make mutants  break one rule at a time: each must be noticed by a test it names;
#:               ONLY="high-s-taken" picks
mutants:
	@scripts/mutants $(ONLY)

#: make bench    speed and memory, as ratios
bench:
	@scripts/bench

#: make clean    remove what was built here (installed parts stay)
clean:
	@scripts/clean

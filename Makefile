# SPDX-License-Identifier: GPL-2.0-or-later
# The two commands, and what they stand on. Meson does the building.
BUILD ?= build

.PHONY: all setup test demo bench clean
all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	scripts/setup
	meson setup $(BUILD)

setup:
	scripts/setup

test:
	scripts/test

demo:
	scripts/demo

bench: all
	bench/run

clean:
	rm -rf $(BUILD) build-asan build-tsan build-clang build-*.log

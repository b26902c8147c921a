#!/usr/bin/env node
// Prints the clocks that Node can read, each between two raw system calls for the same clock, which
// the addon raw_clock.c beside this file makes.
"use strict";

const { rawNs } = require("./raw_clock.node");

// Clock ids, from linux/time.h.
const REALTIME = 0;
const MONOTONIC = 1;

function printLine(name, clock, library) {
  const before = rawNs(clock);
  const read = library();
  const after = rawNs(clock);
  console.log(`${name} ${before} ${read} ${after}`);
}

printLine("REALTIME:Date.now", REALTIME, () => BigInt(Date.now()) * 1000000n);
printLine("MONOTONIC:hrtime.bigint", MONOTONIC, () => process.hrtime.bigint());

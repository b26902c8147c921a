// Waits of Node's own: `waits.js SECONDS` prints for each whether it was as long as it was to be.
"use strict";
const { performance } = require("perf_hooks");
const net = require("net");
const { execFile } = require("child_process");

const span = Number(process.argv[2]) * 1000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const waits = {
  setTimeout: () => sleep(span),
  setInterval: () =>
    new Promise((resolve) => {
      let times = 0;
      const interval = setInterval(() => {
        if (++times === 4) {
          clearInterval(interval);
          resolve();
        }
      }, span / 4);
    }),
  atomics: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, span),
  socket: () =>
    new Promise((resolve) => {
      const server = net.createServer(() => {}).listen(0, () => {
        const socket = net.connect(server.address().port);
        socket.setTimeout(span, () => {
          socket.destroy();
          server.close();
          resolve();
        });
      });
    }),
  child: () => new Promise((resolve) => execFile("sleep", [String((span * 2) / 1000)], { timeout: span }, resolve)),
};

(async () => {
  for (const [name, wait] of Object.entries(waits)) {
    const began = performance.now();
    await wait();
    // Timers count whole milliseconds.
    const isOver = performance.now() - began >= span - span / 50 - 2;
    console.log(name, isOver ? "waited" : "early");
  }
  process.exit();
})();

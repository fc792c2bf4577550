// A child process of a test: its output is kept for failures, it can be
// stopped or killed and waited for, and it never outlives the test.

import { spawn } from 'node:child_process';
import { patience, until, within } from './wait.mjs';

const keptLines = 2000;

export class Child {
  // command: [program, ...arguments]; env replaces the environment whole.
  constructor(name, command, { env = process.env, cwd } = {}) {
    this.name = name;
    this.lines = [];
    this.dropped = 0;
    this.exited = undefined; // { code, signal } once it has ended
    // The kernel kills it when this process dies, however that happens. Its
    // own process group keeps a Ctrl-C at the terminal for this process, which
    // then stops its children in order.
    this.process = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
      env,
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.pid = this.process.pid;
    for (const stream of [this.process.stdout, this.process.stderr]) this.#keep(stream);
    this.end = new Promise((resolve) => {
      this.process.once('error', (e) => resolve((this.exited = { code: null, signal: null, error: e })));
      this.process.once('close', (code, signal) => resolve((this.exited ??= { code, signal })));
    });
  }

  #keep(stream) {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      this.lines.push(...lines);
      if (this.lines.length > keptLines) {
        this.dropped += this.lines.length - keptLines;
        this.lines.splice(0, this.lines.length - keptLines);
      }
    });
    stream.on('end', () => rest && this.lines.push(rest));
  }

  get running() {
    return !this.exited;
  }

  // The last lines of its output, for messages.
  tail(n = 20) {
    return this.lines.slice(-n).map((l) => `    ${this.name}: ${l}`).join('\n');
  }

  // Waits until fn returns something truthy; fails at once if the process ends.
  async ready(fn, { deadline = patience, what = 'ready' } = {}) {
    let ended = false;
    try {
      return await until(
        async () => {
          let got;
          try {
            got = await fn();
          } catch (e) {
            if (this.running) throw e;
          }
          ended = !got && !this.running;
          return got || ended;
        },
        { deadline, what: `${this.name} ${what}` },
      );
    } catch (e) {
      throw new Error(`${e.message}\n${this.tail()}`, { cause: e });
    } finally {
      if (ended) {
        const { code, signal, error } = this.exited;
        throw new Error(`${this.name} ended (${error ?? signal ?? code}) before it was ${what}\n${this.tail()}`);
      }
    }
  }

  // Ends it with the signal and returns { code, signal }.
  async stop({ signal = 'SIGTERM', deadline = patience } = {}) {
    if (this.running) this.process.kill(signal);
    try {
      return await within(deadline, `${this.name} ended after ${signal}`, this.end);
    } catch (e) {
      this.process.kill('SIGKILL');
      await this.end;
      throw new Error(`${e.message}\n${this.tail()}`, { cause: e });
    }
  }

  kill() {
    return this.stop({ signal: 'SIGKILL' });
  }
}

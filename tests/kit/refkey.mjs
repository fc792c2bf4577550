// The refkey binary under test: REFKEY_BIN, or build/refkey.
//
//   const refkey = await startRefkey({ REFKEY_PDS_URL: pds.url, … });   // until it is ready
//   const { status, body } = await refkey.xrpc('getByRef', { ref });
//   await refkey.kill(); await refkey.start();
//   const { code, stdout } = await refkey.run(['recover', '--json']);

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './child.mjs';
import { patience, until } from './wait.mjs';

export const binary = process.env.REFKEY_BIN ?? fileURLToPath(new URL('../../build/refkey', import.meta.url));

const prefix = 'computer.aesthetic.refkey.';

export class Refkey {
  // settings: REFKEY_* names. Those of this process's own environment are not
  // handed on: a test means what it says.
  constructor(settings = {}) {
    this.settings = settings;
    this.as = []; // what `serve` is started by
    this.earlier = []; // the logs of earlier runs
  }

  get env() {
    const rest = Object.entries(process.env).filter(([name]) => !name.startsWith('REFKEY_'));
    return {
      ...Object.fromEntries(rest),
      REFKEY_LISTEN: '127.0.0.1:0',
      REFKEY_LOG_FORMAT: 'json',
      REFKEY_DATA_DIR: this.dataDirectory,
      REFKEY_ALLOW_PRIVATE: 'on',
      ...this.settings,
    };
  }

  get dataDirectory() {
    return this.settings.REFKEY_DATA_DIR ?? this.ownDirectory;
  }

  async prepare() {
    if (!this.dataDirectory) this.ownDirectory = await mkdtemp(path.join(os.tmpdir(), 'refkey-data-'));
  }

  // Starts `serve` and waits until it listens. changes: settings from now on; an
  // undefined value takes one away.
  async start(changes = {}, { deadline = patience } = {}) {
    Object.assign(this.settings, changes);
    for (const [name, value] of Object.entries(this.settings)) if (value === undefined) delete this.settings[name];
    await this.prepare();
    if (this.child) this.earlier.push(...this.child.lines);
    this.child = new Child('refkey', [...this.as, binary, 'serve'], { env: this.env });
    const addr = await this.child.ready(() => this.#listening(), { deadline, what: 'listening' });
    this.url = `http://${addr}`;
    return this;
  }

  #listening() {
    for (const entry of this.log()) {
      if (entry.addr && /listening/.test(JSON.stringify(entry))) return entry.addr;
    }
    return undefined;
  }

  // Waits for GET /xrpc/_health to answer 200.
  async ready({ deadline = patience } = {}) {
    let health;
    try {
      await this.child.ready(
        async () => {
          health = await this.get('/xrpc/_health');
          return health.status === 200;
        },
        { deadline, what: 'healthy' },
      );
    } catch (e) {
      throw new Error(`${e.message}\n    last answer: ${JSON.stringify(health?.body)}`, { cause: e });
    }
    return this;
  }

  get running() {
    return this.child?.running ?? false;
  }

  // SIGTERM: it must drain and end with 0.
  async stop({ deadline = patience } = {}) {
    if (!this.running) return;
    const { code, signal } = await this.child.stop({ deadline });
    if (code !== 0) throw new Error(`refkey ended with ${signal ?? code} after SIGTERM\n${this.child.tail()}`);
  }

  async kill() {
    await this.child.kill();
  }

  async restart(changes) {
    await this.stop();
    return this.start(changes);
  }

  // For good, with its data.
  async close() {
    try {
      await this.stop();
    } finally {
      if (this.ownDirectory) await rm(this.ownDirectory, { recursive: true, force: true });
    }
  }

  // The log of this run (all: of all runs) as objects; what is no JSON becomes { text }.
  log({ all = false } = {}) {
    const lines = all ? [...this.earlier, ...(this.child?.lines ?? [])] : (this.child?.lines ?? []);
    return lines.map((line) => {
      try {
        return JSON.parse(line);
      } catch {
        return { text: line };
      }
    });
  }

  // { status, body, headers }; the body as JSON where it is.
  async get(pathAndQuery, options) {
    const res = await fetch(this.url + pathAndQuery, options);
    const text = await res.text();
    const json = res.headers.get('content-type')?.includes('json');
    return { status: res.status, body: json ? JSON.parse(text) : text, headers: res.headers };
  }

  // A short method name gets refkey's own prefix. Array values become repeated
  // parameters.
  xrpc(method, params = {}, options) {
    const nsid = method.includes('.') ? method : prefix + method;
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(params)) {
      for (const one of [value].flat()) if (one !== undefined) query.append(name, one);
    }
    const text = query.size ? `?${query}` : '';
    return this.get(`/xrpc/${nsid}${text}`, options);
  }

  // A query that is asked again until the answer fits, which is returned.
  until(method, params, fits = ({ status }) => status === 200, options = {}) {
    return until(
      async () => {
        const answer = await this.xrpc(method, params);
        if (fits(answer)) return answer;
        throw new Error(`last answer: ${answer.status} ${JSON.stringify(answer.body)}`);
      },
      { what: `${method} ${JSON.stringify(params)}`, ...options },
    );
  }

  // Runs a command with the same settings: { code, signal, stdout, stderr }. program: another one.
  async run(args, { deadline = 2 * patience, env = {}, program = binary } = {}) {
    await this.prepare();
    return new Promise((resolve) => {
      const options = { env: { ...this.env, ...env }, timeout: deadline, maxBuffer: 1 << 28 };
      execFile(program, args, options, (e, stdout, stderr) => {
        resolve({ code: e ? (typeof e.code === 'number' ? e.code : null) : 0, signal: e?.signal, stdout, stderr });
      });
    });
  }
}

// Starts it and waits until it is ready.
export async function startRefkey(settings, { ready = true, deadline } = {}) {
  const refkey = await new Refkey(settings).start();
  if (ready) {
    try {
      await refkey.ready({ deadline });
    } catch (e) {
      await refkey.kill();
      throw e;
    }
  }
  return refkey;
}

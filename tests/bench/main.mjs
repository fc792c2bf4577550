// `make bench`: speed and memory as ratios within one run, as one table. Names pick benches.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { audit } from './audit.mjs';
import { latency } from './latency.mjs';
import { publishPaintings } from './paintings.mjs';
import { pipeline } from './pipeline.mjs';
import { prompt } from './prompt.mjs';
import { publish } from './publish.mjs';
import { queries } from './queries.mjs';
import { recovery } from './recovery.mjs';
import { relay } from './relay.mjs';
import { repo } from './repo.mjs';
import { Table } from './table.mjs';
import { verify } from './verify.mjs';

const all = { audit, latency, paintings: publishPaintings, pipeline, prompt, publish, queries, recovery, relay, repo, verify };
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !all[name]);
if (unknown.length) {
  console.error(`refkey: no bench is named ${unknown.join(' or ')}: there are ${Object.keys(all).join(', ')}`);
  process.exit(2);
}

const root = mkdtempSync(path.join(os.tmpdir(), 'refkey-bench-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

// What it is at, on a terminal only.
const note = (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`);

const table = new Table();
for (const [name, bench] of Object.entries(all)) {
  if (!wanted.length || wanted.includes(name)) await bench({ table, note, root });
}
note('');
console.log(table.toString());

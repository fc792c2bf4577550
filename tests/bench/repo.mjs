// Whole repos: one of many records verified (car.c), and many fetched at a first start (repos.mjs).

import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../kit/child.mjs';
import { Refkey } from '../kit/refkey.mjs';
import { median } from './table.mjs';
import { runTool } from './tools.mjs';

const rounds = 3;
const source = fileURLToPath(new URL('repos.mjs', import.meta.url));
const [repos, records] = [500, 20];

export async function repo({ table, note, root }) {
  for (const count of [10_000, 100_000, 1_000_000]) {
    const name = `${count.toLocaleString('en-US')} records`;
    note(`a repo of ${name}`);
    const file = path.join(root, 'repo.car');
    const run = JSON.parse(await runTool('car', [file, String(count)]));
    rmSync(file);
    table.peer(`a repo of ${name}, verified`, {
      unit: 'MB/s',
      ours: [run.mb_s],
      theirs: [150],
      peer: 'asked for',
      least: 1,
    });
    table.limit(`own memory meanwhile, ${name}`, run.own / 1024, 'MB', 64);
  }
  note(`${repos} repos at a first start`);
  const served = new Child('repos', [process.execPath, '--no-warnings', source, String(repos), String(records)]);
  const url = await served.ready(() => served.lines.find((line) => line.startsWith('http')), { deadline: 120_000 });
  const seconds = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const refkey = new Refkey({ REFKEY_PDS_URL: url, REFKEY_PLC_URL: url });
      const start = performance.now();
      await refkey.start();
      await refkey.ready({ deadline: 60_000 });
      seconds.push((performance.now() - start) / 1000);
      await refkey.close();
    }
  } finally {
    await served.kill();
  }
  table.limit(`${repos} repos of ${records} records, from the start to ready`, median(seconds), 's', 1);
}

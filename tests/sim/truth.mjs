// What refkey must serve at the end of a run, and does: every record of every account both ways, none
// that is gone, none that was forged, each lie counted, nobody's repo fetched without a reason.

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from '../kit/wait.mjs';
import { collections, listAll, metrics } from '../e2e/scene.mjs';

const dumper = process.env.REFKEY_TEST_SIM_DUMP ?? fileURLToPath(new URL('../../build/tests/sim/sim_dump', import.meta.url));

const hidden = (account) => account.status !== 'active';

// What answers must hold of this account: [{ uri, cid, value, ref }].
function truthOf(account) {
  return [...account.records]
    .filter(([path]) => collections.includes(path.split('/')[0]))
    .map(([path, { cid, value }]) => ({ uri: `at://${account.did}/${path}`, path, cid, value, ref: value.ref }));
}

async function sameRecords(run, account, wrong) {
  const { refkey } = run;
  const truth = hidden(account) ? [] : truthOf(account);
  const expected = new Map(truth.map((r) => [r.uri, r]));
  for (const collection of collections) {
    for (const { uri, cid, value, moved } of await listAll(refkey, { repo: account.did, collection })) {
      const mine = expected.get(uri);
      expected.delete(uri);
      if (!mine) wrong.push(`${uri} is listed and should not be`);
      else if (mine.cid !== cid || JSON.stringify(sorted(mine.value)) !== JSON.stringify(sorted(value)))
        wrong.push(`${uri} is listed as ${cid} ${JSON.stringify(value)}, it is ${mine.cid} ${JSON.stringify(mine.value)}`);
      if (!!moved === account.home) wrong.push(`${uri} is listed with moved: ${moved}`);
    }
  }
  for (const uri of expected.keys()) wrong.push(`${uri} is not listed`);
  for (const { uri, path, cid, ref } of truth) {
    const [collection, rkey] = path.split('/');
    const asked = [
      ['getByRkey', { repo: account.did, collection, rkey }],
      ['getByRef', { ref }],
      ...(account.home && !account.claims ? [['getByRkey', { repo: account.handle, collection, rkey }]] : []),
    ];
    // Neither the one that its DID document no longer names, nor another's.
    for (const repo of account.claims ? [account.handle, account.claims] : []) {
      const { status, body } = await refkey.xrpc('getByRkey', { repo, collection, rkey });
      if (status === 200) wrong.push(`${repo} answers for ${account.did}: ${JSON.stringify(body)}`);
    }
    for (const [method, params] of asked) {
      const { status, body } = await refkey.xrpc(method, params);
      if (status !== 200 || body.uri !== uri || body.cid !== cid)
        wrong.push(`${method} ${JSON.stringify(params)}: ${status} ${JSON.stringify(body)}`);
    }
  }
}

// What to ask for a record: { ref, uri }, each or both.
export function questions({ ref, uri }) {
  const asked = [];
  if (ref) asked.push({ method: 'getByRef', params: { ref } });
  if (uri) {
    const [, , repo, collection, rkey] = uri.split('/');
    asked.push({ method: 'getByRkey', params: { repo, collection, rkey } });
  }
  return asked;
}

const sorted = (value) => Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));

// Each answer must be that there is no such record.
async function absent(run, wrong) {
  const { refkey, ledger } = run;
  const live = new Set([...run.accounts.values()].filter((a) => !hidden(a)).flatMap((a) => truthOf(a).flatMap((r) => [r.uri, r.ref])));
  const gone = [...run.accounts.values()].flatMap((a) => [...a.gone, ...(hidden(a) ? truthOf(a) : [])]);
  for (const { ref, uri } of [...ledger.forged, ...gone]) {
    const dead = (name) => (live.has(name) ? undefined : name);
    for (const { method, params } of questions({ ref: dead(ref), uri: dead(uri) })) {
      const { status, body } = await refkey.xrpc(method, params);
      if (status !== 400 || body.error !== 'RecordNotFound')
        wrong.push(`${method} ${JSON.stringify(params)}: ${status} ${JSON.stringify(body)}, and it is not there`);
    }
  }
}

// Every record of a copy of the index, past XRPC: 'URI CID ref value'.
async function dump(run) {
  const folder = await mkdtemp(join(os.tmpdir(), 'refkey-sim-'));
  try {
    const { code, stderr } = await run.refkey.run(['backup', join(folder, 'copy')]);
    if (code !== 0) throw new Error(`refkey backup: ${code} ${stderr}`);
    const { stdout } = await promisify(execFile)(dumper, [join(folder, 'copy')], { maxBuffer: 1 << 28 });
    const records = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
    return records.map(({ did, collection, rkey, ...rest }) => recordLine({ uri: `at://${did}/${collection}/${rkey}`, ...rest }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const recordLine = ({ uri, cid, ref, value }) => `${uri} ${cid} ${ref ?? ''} ${JSON.stringify(sorted(value))}`;

// The index on disk: it agrees with itself, and holds what there is, of hidden accounts too, and nothing else.
async function index(run, wrong) {
  const { code, stdout, stderr } = await run.refkey.run(['check', '--json']);
  if (code !== 0) return wrong.push(`refkey check: ${code} ${stdout}${stderr}`);
  const { findings, records } = JSON.parse(stdout);
  const truth = [...run.accounts.values()].filter((a) => a.status !== 'deleted').flatMap(truthOf);
  if (findings.length) wrong.push(`refkey check: ${stdout}`);
  if (records !== truth.length) wrong.push(`the index holds ${records} records, there are ${truth.length}`);
  const missing = new Set(truth.map(recordLine));
  for (const line of await dump(run)) if (!missing.delete(line)) wrong.push(`the index holds ${line}`);
  for (const line of missing) wrong.push(`the index lacks ${line}`);
  return undefined;
}

export async function refusals(refkey) {
  const all = Object.entries(await metrics(refkey));
  return Object.fromEntries(
    all.flatMap(([name, n]) => {
      const reason = name.match(/^refkey_refused_total\{reason="(.*)"\}$/)?.[1];
      return reason ? [[reason, n]] : [];
    }),
  );
}

// How often a fetch of the repo was given up because its host took too long, as every host does where the machine
// stands still.
export function givenUp(run, did) {
  const late = /^(nothing came for|no whole answer in time|less than \d+ bytes)/;
  return run.refkey.log({ all: true }).filter((l) => l.component === 'resync' && l.did === did && late.test(l.reason)).length;
}

// A line for each thing that is wrong.
export async function check(run) {
  await run.probeSome(run.ledger.forged.slice(-25));
  const wrong = run.served.map((what) => `what must not be answered was: ${what}`);
  wrong.push(...run.hidden.map((what) => `a record was not answered: ${what}`));
  for (const account of run.accounts.values()) await sameRecords(run, account, wrong);
  await absent(run, wrong);
  await index(run, wrong);
  wrong.push(...((await run.documents?.check()) ?? []));
  // What waited for a DID document is counted when that was read.
  let differences;
  const counted = async () => (differences = await run.differences()).length === 0;
  await until(counted, { every: 20 }).catch(() => wrong.push(...differences));
  for (const [did, times] of run.host.fetches) {
    const allowed = (run.ledger.fetches.get(did) ?? 0) + givenUp(run, did);
    if (times > allowed) wrong.push(`${did} was fetched ${times} times, with reason for ${allowed}`);
  }
  return wrong;
}

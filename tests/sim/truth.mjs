// What refkey must serve at the end of a run, and does: every record of every account both ways, none
// that is gone, none that was forged, each lie counted, nobody's repo fetched without a reason.

import { until } from '../kit/wait.mjs';
import { collections, listAll, metrics } from '../e2e/scene.mjs';

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

// What the index on disk says of itself: it agrees, and holds as many records as there are.
async function index(run, wrong) {
  const { code, stdout, stderr } = await run.refkey.run(['check', '--json']);
  if (code !== 0) return wrong.push(`refkey check: ${code} ${stdout}${stderr}`);
  const { findings, records } = JSON.parse(stdout);
  const count = [...run.accounts.values()].reduce((n, a) => n + (a.status === 'deleted' ? 0 : truthOf(a).length), 0);
  if (findings.length) wrong.push(`refkey check: ${stdout}`);
  if (records !== count) wrong.push(`the index holds ${records} records, there are ${count}`);
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
  await until(counted, { deadline: 5000, every: 20 }).catch(() => wrong.push(...differences));
  for (const [did, times] of run.host.fetches) {
    const allowed = run.ledger.fetches.get(did) ?? 0;
    if (times > allowed) wrong.push(`${did} was fetched ${times} times, with reason for ${allowed}`);
  }
  return wrong;
}

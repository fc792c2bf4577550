// A source that lists repos without end.

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { patience, until } from '../kit/wait.mjs';
import { metrics } from '../e2e/scene.mjs';
import { Run } from './run.mjs';

const most = (accounts) => 2 * (4096 + 4 * accounts); // that never came in

describe('a source that lists ever new repos', () => {
  let run;
  afterEach(() => run?.close());

  for (const relay of [false, true]) {
    it(`${relay ? 'a relay' : 'a PDS'} holds nobody up, and the index does not grow for it`, async () => {
      run = new Run(relay ? 2 : 1, { relay });
      run.host.endless = () => run.chance.did();
      await run.open({}, { deadline: 3 * patience });
      const [account] = run.accounts.values();
      assert.equal((await run.refkey.xrpc('getRepoStatus', { repo: account.did })).body.rev, account.head.rev);
      const repos = async () => JSON.parse((await run.refkey.run(['status', '--json'])).stdout).repos;
      const known = await repos();
      const bound = run.accounts.size + most(run.accounts.size);
      assert.ok(known <= bound, `${known} repos`);
      const { refkey_repos_refused_total: refused, refkey_sweeps_total: sweeps } = await metrics(run.refkey);
      assert.ok(refused > 0);
      run.host.outdated();
      await until(async () => (await metrics(run.refkey)).refkey_sweeps_total > sweeps, { what: 'another sweep' });
      assert.ok((await repos()) <= bound);
    });
  }
});

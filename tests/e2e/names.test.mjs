// What --user, --skip and forget are given must be one user's: a handle or an account that two have is refused
// by every command, with both of them named, and nothing is done for either.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MOOD, moodDocument } from '../kit/shapes.mjs';
import { startScene } from './scene.mjs';

describe('a name that two users have', () => {
  let scene;
  let refkey;
  let person;
  let twin;

  before(async () => {
    scene = await startScene();
    person = await scene.writer();
    twin = await scene.mongo.user({ _id: `${person.user}-twin`, handle: person.name.toUpperCase(), did: person.did });
    await scene.mongo.moods.insertMany([moodDocument({ user: person.user }), moodDocument({ user: twin })]);
    // Without an account: who else `accounts` would list.
    await scene.mongo.moods.insertOne(moodDocument({ user: await scene.mongo.user({ _id: 'auth0|poor' }) }));
    refkey = await scene.refkey();
  });
  after(() => scene?.close());

  const commands = [
    ['publish', 'moods', '--user'],
    ['publish', 'moods', '--skip'],
    ['publish', 'moods', '--watch', '--user'],
    ['publish', 'moods', '--watch', '--skip'],
    ['audit', '--user'],
    ['audit', '--skip'],
    ['repair', '--all', '--yes', '--user'],
    ['repair', '--all', '--yes', '--skip'],
    ['recover', '--user'],
    ['recover', '--skip'],
    ['accounts', '--user'],
    ['accounts', '--skip'],
    ['lexicon', 'publish', '--user'],
    ['forget', '--yes'],
  ];
  for (const beside of [true, false]) {
    it(`is refused by all of them, ${beside ? 'beside a serve' : 'without one'}`, async () => {
      if (!beside) await refkey.stop();
      for (const command of commands) {
        for (const name of [`@${person.name}`, person.did]) {
          const { code, stdout, stderr } = await refkey.run([...command, name]);
          const shown = `${command.join(' ')} ${name}: ${code}\n${stdout}${stderr}`;
          assert.equal(code, 2, shown);
          const erased = command[0] === 'forget' && name === person.did; // naming one would not help there
          const both = erased ? `${person.user} and ${twin} have the same` : `of ${person.user} and of ${twin}: name one`;
          assert.ok(stderr.includes(both), shown);
          assert.doesNotMatch(stdout, /✅/, shown);
        }
      }
      assert.deepEqual(await scene.pds.listRecordsAll(person.did, MOOD), []);
      assert.equal(await scene.mongo.moods.countDocuments({}), 3);
    });
  }
});

// A small aesthetic.computer: 20 users, the guests' account and one of no user on the PDS, the site's documents in
// MongoDB, in every relation that the two can have. The demonstration shows it;
// tests may use it as a start.

import { MOOD, PAINTING, GUEST, moodDocument, moodRecord, objectId, oldMoodRecord, paintingDocument, paintingRecord } from './shapes.mjs';

const names = (
  'ada bea cleo dora elio faye gwen hugo ines juno kai lena milo nora otto pina quin rosa sol tess'
).split(' ');
const words = 'calm bright sleepy curious noisy warm blue round tall quiet'.split(' ');

// Returns { people, guest, stranger, recovered, left } where
//   recovered: what recovery has to bring to MongoDB:
//     [{ why, collection, account, rkey, uri, ref?, before?, fields }]
//   left: what it must not touch: { duplicate, orphan, unclaimed, mongoOnly }
export async function writeWorld({ pds, mongo }) {
  const people = await Promise.all(names.map((name) => person(name, `auth0|${name}`)));
  const guest = await person('wanderers', GUEST);
  const stranger = await pds.account('stranger.test'); // no user of the site

  async function person(name, _id) {
    const account = await pds.account(`${name}.test`);
    await mongo.user({ _id, handle: name, did: account.did, password: account.password });
    return { ...account, user: _id, name };
  }

  let count = 0;
  const recovered = [];
  const mongoOnly = [];
  const later = () => new Date(Date.now() - 86_400_000 + ++count * 60_000);
  const text = (name) => `${words[count % words.length]}, says ${name}`;
  const mood = (p) => ({ _id: objectId(86_400 - count), user: p.user, mood: text(p.name), when: later() });
  const painting = (p) => ({
    _id: objectId(86_400 - count),
    user: p.user === GUEST ? undefined : p.user,
    code: `p${++count}`,
    slug: `2026.1.1.${count}`,
    when: later(),
  });
  const store = { [MOOD]: [mongo.moods, moodDocument], [PAINTING]: [mongo.paintings, paintingDocument] };
  const toRecord = { [MOOD]: moodRecord, [PAINTING]: paintingRecord };

  const publish = (p, collection, x, make = toRecord[collection]) =>
    pds.createRecord(p, collection, make({ ...x, ref: x._id }));
  async function insert(collection, x) {
    const [documents, make] = store[collection];
    const document = make(x);
    await documents.insertOne(document);
    return document;
  }

  // As the site does it: document, record, then the record's key into the document.
  async function both(p, collection, x) {
    const record = await publish(p, collection, x);
    await insert(collection, { ...x, rkey: record.rkey });
    return record;
  }
  // One that recovery has to bring: on the PDS, and in MongoDB not or without its key.
  async function recover(why, p, collection, x, { make, document } = {}) {
    const before = document && (await insert(collection, x));
    const record = await publish(p, collection, x, make);
    const { _id, ...fields } = store[collection][1]({ ...x, rkey: record.rkey });
    const ref = x._id && String(_id);
    recovered.push({ why, collection, account: p, rkey: record.rkey, uri: record.uri, ref, before, fields });
  }

  // Each person's own, side by side; the records of one repo one after the other.
  await Promise.all(
    [...people, guest].map(async (p, i) => {
      for (let n = 0; n < 3; n++) await both(p, MOOD, mood(p));
      for (let n = 0; n < 2; n++) await both(p, PAINTING, painting(p));
      if (i % 3 === 0) await recover('its document is missing', p, MOOD, mood(p));
      if (i % 4 === 1) await recover('its document lacks the key', p, MOOD, mood(p), { document: true });
      if (i % 6 === 2) await recover('its document is missing', p, PAINTING, painting(p));
      if (i % 6 === 4) mongoOnly.push(await insert(MOOD, mood(p)), await insert(PAINTING, painting(p)));
    }),
  );
  const [ada, bea, cleo, dora] = people;
  await recover('its document is missing (a guest\'s)', guest, PAINTING, painting(guest));
  await recover('it has no ref at all', ada, MOOD, { ...mood(ada), _id: undefined }, { make: (x) => moodRecord({ ...x, ref: undefined }) });
  await recover('an older record, with text and mongoId', bea, MOOD, mood(bea), { make: oldMoodRecord });
  await recover('an older record, its document lacks the key', bea, MOOD, mood(bea), { make: oldMoodRecord, document: true });

  const twice = mood(cleo);
  const duplicate = { account: cleo, ref: String(twice._id), first: await both(cleo, MOOD, twice), second: await publish(cleo, MOOD, twice) };
  const removed = { ...mood(dora), deleted: true };
  const orphan = { account: dora, ref: String(removed._id), record: await publish(dora, MOOD, removed) };
  await insert(MOOD, removed);
  const alone = mood({ name: 'stranger' });
  const unclaimed = { account: stranger, ref: String(alone._id), record: await publish(stranger, MOOD, alone) };

  return { people, guest, stranger, recovered, left: { duplicate, orphan, unclaimed, mongoOnly } };
}

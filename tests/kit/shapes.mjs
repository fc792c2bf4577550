// Records and documents in the shapes that aesthetic.computer gives them.

import { randomBytes } from 'node:crypto';
import { ObjectId } from 'mongodb';

export const MOOD = 'computer.aesthetic.mood';
export const PAINTING = 'computer.aesthetic.painting';
export const GUEST = 'art-guest';

// An ObjectId whose own time lies `age` seconds back. The default is old enough
// for refkey to insert a document for it at once (60 s).
export function objectId(age = 3600) {
  const id = randomBytes(12);
  id.writeUInt32BE(Math.floor(Date.now() / 1000) - age, 0);
  return new ObjectId(id);
}

// when: a Date. In a record it is a string, in a document a BSON date.
export function moodRecord({ mood = 'calm', when = new Date(), ref }) {
  return { mood, when: when.toISOString(), ...(ref && { ref: String(ref) }) };
}

// As older writers made them: the text in `text`, the document's id in `mongoId`.
export function oldMoodRecord({ mood = 'calm', when = new Date(), ref }) {
  return { text: mood, when: when.toISOString(), mongoId: String(ref) };
}

export function paintingRecord({ code, slug, when = new Date(), ref }) {
  return {
    slug,
    code,
    imageUrl: `https://aesthetic.computer/media/paintings/${code}`,
    when: when.toISOString(),
    ...(ref && { ref: String(ref) }),
  };
}

export function moodDocument({ _id = objectId(), user, mood = 'calm', when = new Date(), rkey, ...more }) {
  return { _id, user, mood, when, ...(rkey && { atproto: { rkey } }), ...more };
}

// user undefined: a guest's.
export function paintingDocument({ _id = objectId(), user, code, slug, when = new Date(), rkey, ...more }) {
  return {
    _id,
    ...(user && { user }),
    code,
    slug,
    when,
    bucket: user ? 'user-aesthetic-computer' : 'art-aesthetic-computer',
    ...(rkey && { atproto: { rkey } }),
    ...more,
  };
}

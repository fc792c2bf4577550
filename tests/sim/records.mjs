// Records as a chance draws them.

import { MOOD, PAINTING } from '../kit/shapes.mjs';

export const POST = 'app.bsky.feed.post';

export const mood = (chance, { words = 'mood', $type = MOOD, ref = chance.ref() } = {}) => ({
  $type,
  mood: `${words} ${chance.text(8)}`,
  when: chance.time,
  ref,
});

export function painting(chance, { ref = chance.ref() } = {}) {
  const code = chance.text(6);
  return {
    $type: PAINTING,
    slug: chance.text(12),
    code,
    imageUrl: `https://aesthetic.computer/media/paintings/${code}`,
    when: chance.time,
    ref,
  };
}

export const post = (chance) => ({ $type: POST, text: chance.text(chance.between(1, 200)), createdAt: chance.time });

const makers = { [MOOD]: mood, [PAINTING]: painting, [POST]: post };

export const record = (chance, collection, options) => makers[collection](chance, options);

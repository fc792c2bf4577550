// Random numbers that can be had again: the seed is printed, REFKEY_TEST_SEED sets it.

export function seeded(t) {
  const seed = Number(process.env.REFKEY_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`seed ${seed} (REFKEY_TEST_SEED)`);
  return numbers(seed);
}

// A function that gives numbers from 0 to below 1 (mulberry32).
export function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

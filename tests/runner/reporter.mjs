// A reporter of node's test runner: each event that counts as a line of JSON,
// which main.mjs reads. A test with subtests is not a case itself, unless it
// failed by itself (in a hook).

const ended = (event) => event.type === 'test:pass' || event.type === 'test:fail';

function line(object) {
  return `${JSON.stringify(object)}\n`;
}

// What a person needs of an error, deepest cause last.
function describe(error) {
  if (error.exitCode || error.signal) return `the test file ended with ${error.signal ?? error.exitCode}`;
  const parts = [];
  for (let e = error; e && parts.length < 5; e = e.cause) {
    if (e.code === 'ERR_TEST_FAILURE' && e.cause) continue;
    parts.push(String(e.stack ?? e.message ?? e).replace(/\n +at .*node:internal.*/g, ''));
  }
  return parts.join('\n');
}

// Why a test was not run, or undefined.
function skipReason({ skip, todo }) {
  if (todo !== undefined) return `to do${typeof todo === 'string' ? `: ${todo}` : ''}`;
  if (skip === undefined) return undefined;
  return typeof skip === 'string' && skip ? skip : 'no reason given';
}

export default async function* reporter(source) {
  const path = []; // names of the suites and tests that run, by nesting
  const children = []; // how many ended, by nesting
  for await (const event of source) {
    const { data } = event;
    if (event.type === 'test:start') {
      path.length = data.nesting;
      path.push(data.name);
    } else if (ended(event)) {
      const parent = (children[data.nesting + 1] ?? 0) > 0;
      children[data.nesting + 1] = 0;
      children[data.nesting] = (children[data.nesting] ?? 0) + 1;
      const failed = event.type === 'test:fail' && data.todo === undefined;
      const { error, type, duration_ms: ms } = data.details;
      const skipped = skipReason(data);
      if (parent && (!failed || error?.failureType === 'subtestsFailed')) continue;
      if (type === 'suite' && !failed && skipped === undefined) continue; // an empty one
      const name = [...path.slice(0, data.nesting), data.name].map(String).join(': ');
      yield line({ name, ms, ...(failed && { error: describe(error) }), ...(skipped && { skipped }) });
    } else if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      yield line({ output: data.message });
    } else if (event.type === 'test:summary' && !data.file) {
      yield line({ end: true });
    }
  }
}

// The part of JSON schema that the files in docs/ use: the first thing that is wrong, or undefined. A
// keyword that is not known here is wrong, too.

const known = new Set([
  '$schema', '$defs', '$ref', 'title', 'description', 'type', 'required', 'additionalProperties', 'properties',
  'items', 'enum', 'minimum', 'pattern',
]);

const types = {
  integer: Number.isInteger,
  number: (v) => typeof v === 'number',
  array: Array.isArray,
  null: (v) => v === null,
  object: (v) => v !== null && typeof v === 'object' && !Array.isArray(v),
  string: (v) => typeof v === 'string',
  boolean: (v) => typeof v === 'boolean',
};

export function schemaError(value, schema, rule = schema, at = '$') {
  const strange = Object.keys(rule).find((name) => !known.has(name));
  if (strange) return `${at}: the schema has ${strange}`;
  if (rule.$ref) return schemaError(value, schema, schema.$defs[rule.$ref.replace('#/$defs/', '')], at);
  if (rule.enum && !rule.enum.includes(value)) return `${at}: ${value} is not one of ${rule.enum}`;
  if (rule.type && ![rule.type].flat().some((name) => types[name](value))) return `${at} is no ${rule.type}: ${value}`;
  if (rule.minimum !== undefined && value !== null && value < rule.minimum) return `${at}: ${value} is below ${rule.minimum}`;
  if (rule.pattern && value !== null && !new RegExp(rule.pattern).test(value)) return `${at}: ${value} is not ${rule.pattern}`;
  if (rule.items) return value.map((v, i) => schemaError(v, schema, rule.items, `${at}[${i}]`)).find(Boolean);
  if (!rule.properties) return undefined;
  const lacks = rule.required.find((name) => !(name in value));
  if (lacks) return `${at} lacks ${lacks}`;
  return Object.entries(value)
    .map(([name, v]) => (rule.properties[name] ? schemaError(v, schema, rule.properties[name], `${at}.${name}`) : `${at}.${name} is unknown`))
    .find(Boolean);
}

// Reads the JSON Schema of a channel's configuration into fields of a form, and what was typed back into a configuration.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Node = Record<string, unknown>;

export interface Choice {
  value: string;
  description: string;
}

export interface SchemaField {
  name: string;
  kind:
    | 'text'
    | 'lines'
    | 'secret'
    | 'secrets'
    | 'number'
    | 'yes'
    | 'choice'
    | 'choices'
    | 'pairs'
    | 'group'
    | 'json';
  required: boolean;
  description: string;
  /** What holds where nothing is given; empty for nothing. */
  preset: string;
  choices: Choice[];
  fields: SchemaField[];
}

/** What stands in a form: texts by field, and those of groups below `group.field`. */
export type Typed = Record<string, string>;

function node(value: unknown): Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Node) : {};
}

function nodes(value: unknown): Node[] {
  return Array.isArray(value) ? value.map(node) : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** What a schema says where it refers to another one, or is one or nothing. */
function resolve(schema: Node, root: Node): Node {
  const reference = text(schema.$ref);
  if (reference.startsWith('#/')) {
    const target = reference
      .slice(2)
      .split('/')
      .reduce<Node>((at, part) => node(at[part]), root);
    return { ...resolve(target, root), ...(schema.description ? { description: schema.description } : {}) };
  }
  const one = nodes(schema.anyOf).filter((other) => other.type !== 'null');
  if (one.length === 1 && one[0]) {
    return { ...resolve(one[0], root), ...(schema.description ? { description: schema.description } : {}) };
  }
  return schema;
}

function isOf(schema: Node, type: string): boolean {
  return Array.isArray(schema.type) ? schema.type.includes(type) : schema.type === type;
}

function choicesOf(schema: Node): Choice[] {
  const named = nodes(schema.oneOf)
    .filter((one) => typeof one.const === 'string')
    .map((one) => ({ value: text(one.const), description: text(one.description) }));
  const listed = Array.isArray(schema.enum)
    ? schema.enum.filter((value) => typeof value === 'string').map((value) => ({ value, description: '' }))
    : [];
  return named.length > 0 ? named : listed;
}

function kindOf(schema: Node, root: Node): SchemaField['kind'] {
  if (schema.writeOnly === true) return 'secret';
  if (choicesOf(schema).length > 0) return 'choice';
  if (isOf(schema, 'boolean')) return 'yes';
  if (isOf(schema, 'integer') || isOf(schema, 'number')) return 'number';
  if (isOf(schema, 'string')) return 'text';
  if (isOf(schema, 'array')) {
    const items = resolve(node(schema.items), root);
    const kind = kindOf(items, root);
    return kind === 'secret' ? 'secrets' : kind === 'choice' ? 'choices' : kind === 'text' ? 'lines' : 'json';
  }
  if (isOf(schema, 'object')) {
    if (Object.keys(node(schema.properties)).length > 0) return 'group';
    const values = resolve(node(schema.additionalProperties), root);
    return isOf(values, 'string') ? 'pairs' : 'json';
  }
  return 'json';
}

/** The fields of a configuration: those that are needed first, else in the order of the schema. */
export function readSchema(schema: unknown, root: unknown = schema): SchemaField[] {
  const whole = node(root);
  const own = resolve(node(schema), whole);
  const required = Array.isArray(own.required) ? own.required : [];
  const fields = Object.entries(node(own.properties)).map(([name, value]): SchemaField => {
    const inner = resolve(node(value), whole);
    const kind = kindOf(inner, whole);
    const items = kind === 'choices' ? resolve(node(inner.items), whole) : inner;
    const preset = node(value).default ?? inner.default;
    return {
      name,
      kind,
      required: required.includes(name),
      description: text(node(value).description) || text(inner.description),
      preset: ['string', 'number', 'boolean'].includes(typeof preset) ? String(preset) : '',
      choices: choicesOf(items),
      fields: kind === 'group' ? readSchema(inner, whole) : [],
    };
  });
  return fields.sort((a, b) => Number(b.required) - Number(a.required));
}

/** A configuration as texts. Credentials are not shown by the server, and stay empty. */
export function toTyped(fields: SchemaField[], config: Record<string, Json>, prefix = ''): Typed {
  const typed: Typed = {};
  for (const field of fields) {
    const key = prefix + field.name;
    const value = config[field.name];
    if (field.kind === 'group')
      Object.assign(typed, toTyped(field.fields, isRecord(value) ? value : {}, `${key}.`));
    else if (value === undefined || value === null) typed[key] = '';
    else if (field.kind === 'pairs' && isRecord(value)) {
      typed[key] = Object.entries(value)
        .map(([name, inner]) => `${name}: ${typeof inner === 'string' ? inner : ''}`)
        .join('\n');
    } else if (Array.isArray(value) && field.kind !== 'json') {
      typed[key] = value.filter((inner) => typeof inner === 'string').join('\n');
    } else typed[key] = typeof value === 'object' ? JSON.stringify(value, undefined, 2) : String(value);
  }
  return typed;
}

function isRecord(value: Json | undefined): value is Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function lines(value: string): string[] {
  return value
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** A value, `undefined` for none. What cannot be read is sent as it is: the server says what is wrong with it. */
function valueOf(field: SchemaField, value: string): Json | undefined {
  if (value.trim() === '') return undefined;
  switch (field.kind) {
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(value.trim()) ? Number(value.trim()) : value;
    case 'yes':
      return value === 'true';
    case 'lines':
    case 'secrets':
    case 'choices':
      return lines(value);
    case 'pairs':
      return Object.fromEntries(
        lines(value).map((line) => {
          const [name = '', ...rest] = line.split(':');
          const inner = rest.join(':').trim();
          // A header without a value keeps the one that it has.
          return [name.trim(), inner === '' ? null : inner];
        }),
      );
    case 'json':
      try {
        return JSON.parse(value) as Json;
      } catch {
        return value;
      }
    default:
      return field.kind === 'secret' ? value : value.trim();
  }
}

/** The configuration to send. `before` is the one that the server has shown: a credential in it that is left empty stays. */
export function toConfig(
  fields: SchemaField[],
  typed: Typed,
  before?: Record<string, Json>,
  prefix = '',
): Record<string, Json> {
  const config: Record<string, Json> = {};
  for (const field of fields) {
    const key = prefix + field.name;
    if (field.kind === 'group') {
      const inner = before?.[field.name];
      const group = toConfig(field.fields, typed, isRecord(inner) ? inner : undefined, `${key}.`);
      if (Object.keys(group).length > 0) config[field.name] = group;
      continue;
    }
    const value = valueOf(field, typed[key] ?? '');
    const isCredential = field.kind === 'secret' || field.kind === 'secrets';
    if (value !== undefined) config[field.name] = value;
    else if (isCredential && before !== undefined && Object.hasOwn(before, field.name))
      config[field.name] = null;
  }
  return config;
}

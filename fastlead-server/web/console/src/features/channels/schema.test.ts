import { describe, expect, it } from 'vitest';
import { readSchema, toConfig, toTyped } from './schema';

const secret = { type: ['string', 'null'], format: 'password', writeOnly: true };
const schema = {
  type: 'object',
  required: ['host', 'from'],
  properties: {
    port: { type: ['integer', 'null'], default: null, description: 'Port.' },
    host: { type: 'string' },
    password: secret,
    secrets: { type: 'array', items: secret },
    headers: { type: 'object', additionalProperties: secret },
    tls: { $ref: '#/$defs/Tls', description: 'How.' },
    from: { $ref: '#/$defs/Sender' },
    reply_to: { anyOf: [{ $ref: '#/$defs/Email' }, { type: 'null' }] },
    ways: { type: 'array', items: { $ref: '#/$defs/Tls' } },
    translit: { type: 'boolean', default: false },
    odd: { type: 'array', items: { type: 'object', properties: { a: { type: 'string' } } } },
  },
  $defs: {
    Tls: {
      oneOf: [
        { const: 'wrapper', type: 'string', description: 'At once.' },
        { const: 'none', type: 'string' },
      ],
    },
    Sender: {
      type: 'object',
      required: ['address'],
      properties: { address: { $ref: '#/$defs/Email' }, name: { type: 'string' } },
    },
    Email: { type: 'string' },
  },
};
const fields = readSchema(schema);

describe('a schema', () => {
  it('becomes fields, those that are needed first', () => {
    const kinds = Object.fromEntries(fields.map((field) => [field.name, field.kind]));
    expect(kinds).toEqual({
      host: 'text',
      from: 'group',
      port: 'number',
      password: 'secret',
      secrets: 'secrets',
      headers: 'pairs',
      tls: 'choice',
      reply_to: 'text',
      ways: 'choices',
      translit: 'yes',
      odd: 'json',
    });
    expect(fields.slice(0, 2).map((field) => field.name)).toEqual(['host', 'from']);
    const tls = fields.find((field) => field.name === 'tls');
    expect(tls?.description).toBe('How.');
    expect(tls?.choices.map((choice) => choice.value)).toEqual(['wrapper', 'none']);
  });

  it('gives back what was shown, and keeps credentials that are left empty', () => {
    const shown = {
      host: 'smtp.example.com',
      port: 465,
      password: null,
      secrets: null,
      headers: { authorization: null, 'x-a': 'b' },
      from: { address: 'anna@example.com' },
      ways: ['wrapper'],
      translit: true,
      tls: 'none',
    };
    const typed = toTyped(fields, shown);
    expect(typed.password).toBe('');
    expect(typed['from.address']).toBe('anna@example.com');
    expect(typed.headers).toBe('authorization: \nx-a: b');
    expect(toConfig(fields, typed, shown)).toEqual(shown);
    const changed = toConfig(
      fields,
      { ...typed, password: ' p ', secrets: 'a\n\n b ', port: 'x', headers: '' },
      shown,
    );
    expect(changed).toMatchObject({ password: ' p ', secrets: ['a', 'b'], port: 'x' });
    expect(changed).not.toHaveProperty('headers');
  });

  it('sends no credential that was never given', () => {
    expect(toConfig(fields, { host: ' h ', odd: '[1' })).toEqual({ host: 'h', odd: '[1' });
  });
});

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, getRouteApi, useNavigate } from '@tanstack/react-router';
import { ArrowLeft } from 'lucide-react';
import { useState } from 'react';
import { ask, client } from '@/api/client';
import { useDocumentTitle } from '@/app/heading';
import { useLeaveGuard } from '@/app/leave';
import { channelsQuery } from '@/app/session';
import { named, texts, useTexts } from '@/app/text';
import { Button } from '@/ui/button';
import { Field, Input, Select } from '@/ui/field';
import { Fault, Loading, useReason } from '@/ui/state';
import { configFaults } from './faults';
import { SchemaForm } from './form';
import { kindsQuery } from './queries';
import { readSchema, toConfig } from './schema';
import type { Typed } from './schema';
import { kinds } from './words';

const words = texts(
  {
    back: 'Каналы',
    title: 'Новый канал',
    kind: 'Вид',
    name: 'Название для политик',
    nameHint:
      'Строчные латинские буквы, цифры, дефис и подчёркивание, например sales-bot. Потом не меняется.',
    make: 'Создать',
    making: 'Создаём…',
    whole: 'Канал не создан:',
  },
  {
    back: 'Channels',
    title: 'New channel',
    kind: 'Kind',
    name: 'Name for policies',
    nameHint:
      'Lower-case Latin letters, digits, hyphen and underscore, such as sales-bot. It cannot be changed later.',
    make: 'Create',
    making: 'Creating…',
    whole: 'The channel was not created:',
  },
);

const route = getRouteApi('/inside/channels/new');
const NONE = new Set<string>();

export function NewChannelPage() {
  const t = useTexts(words);
  const k = useTexts(kinds);
  const reason = useReason();
  const navigate = useNavigate();
  const cache = useQueryClient();
  const { kind: asked } = route.useSearch();
  const schemas = useQuery(kindsQuery);
  const [name, setName] = useState('');
  const [typed, setTyped] = useState<Typed>({});
  const kind = schemas.data?.items.find((one) => one.kind === asked) ?? schemas.data?.items[0];
  const fields = readSchema(kind?.config_schema);
  useDocumentTitle(t.title);
  const make = useMutation({
    mutationFn: () =>
      ask(
        client.POST('/v1/channels', {
          body: { kind: kind?.kind ?? '', name, config: toConfig(fields, typed) },
        }),
      ),
    onSuccess: async (channel) => {
      await cache.invalidateQueries({ queryKey: channelsQuery.queryKey });
      await navigate({ to: '/channels/$id', params: { id: channel.id } });
    },
  });
  useLeaveGuard(!make.isSuccess && (name !== '' || Object.values(typed).some((value) => value !== '')));
  const faults = configFaults(make.error);
  return (
    <div className="grid gap-4">
      <Link
        to="/channels"
        className="tap inline-flex items-center gap-1 justify-self-start text-accent underline"
      >
        <ArrowLeft aria-hidden size={16} />
        {t.back}
      </Link>
      <h1 className="text-2xl font-semibold">{t.title}</h1>
      {schemas.isPending && <Loading />}
      {schemas.isError && <Fault error={schemas.error} onAgain={() => void schemas.refetch()} />}
      {kind && (
        <form
          className="grid max-w-2xl gap-4 rounded-2xl border border-line bg-panel p-4"
          onSubmit={(event) => {
            event.preventDefault();
            make.mutate();
          }}
        >
          {make.isError && (faults.size === 0 || faults.has('')) && (
            <p role="alert" className="rounded-lg bg-bad-soft px-4 py-2 text-bad">
              {t.whole} {faults.get('') ?? reason(make.error)}
            </p>
          )}
          <Field label={t.kind} fault={faults.get('kind')}>
            {(props) => (
              <Select
                {...props}
                value={kind.kind}
                onValue={(value) => {
                  setTyped({});
                  make.reset();
                  void navigate({ to: '/channels/new', search: { kind: value }, replace: true });
                }}
                options={
                  schemas.data?.items.map((one) => ({ value: one.kind, label: named(k, one.kind) })) ?? []
                }
              />
            )}
          </Field>
          <Field label={t.name} hint={t.nameHint} fault={faults.get('name')}>
            {(props) => (
              <Input
                {...props}
                value={name}
                required
                autoCapitalize="none"
                autoComplete="off"
                spellCheck={false}
                maxLength={64}
                onChange={(event) => {
                  setName(event.target.value);
                }}
              />
            )}
          </Field>
          <SchemaForm fields={fields} typed={typed} onTyped={setTyped} faults={faults} kept={NONE} />
          <Button type="submit" look="main" className="justify-self-start" disabled={make.isPending}>
            {make.isPending ? t.making : t.make}
          </Button>
        </form>
      )}
    </div>
  );
}

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, getRouteApi } from '@tanstack/react-router';
import { ArrowLeft, CirclePause, CirclePlay, ShieldCheck } from 'lucide-react';
import { useState } from 'react';
import { ask, client } from '@/api/client';
import type { Schema } from '@/api/client';
import { useDocumentTitle } from '@/app/heading';
import { useLeaveGuard } from '@/app/leave';
import { useLook } from '@/app/look';
import { channelsQuery, isAdmin, meQuery } from '@/app/session';
import { named, texts, useTexts } from '@/app/text';
import { clock, day } from '@/app/time';
import { Badge } from '@/ui/badge';
import { Button } from '@/ui/button';
import { Copy } from '@/ui/copy';
import { Empty, Fault, Loading, useReason } from '@/ui/state';
import { configFaults } from './faults';
import { SchemaForm } from './form';
import { kindsQuery } from './queries';
import { readSchema, toConfig, toTyped } from './schema';
import type { Json, Typed } from './schema';
import { health, healths, kinds, reasons } from './words';

const words = texts(
  {
    back: 'Каналы',
    gone: 'Такого канала нет',
    since: (when: string) => `с ${when}`,
    check: 'Проверить доступы',
    checking: 'Проверяем…',
    good: 'Провайдер принимает доступы.',
    bad: (message: string) => `Провайдер не принимает доступы: ${message}`,
    pause: 'Приостановить',
    resume: 'Продолжить',
    webhook: 'Адрес для провайдера',
    trouble: (message: string) => `Новости провайдера не приходят: ${message}`,
    config: 'Настройка',
    reader: 'Настройку видит и меняет администратор.',
    save: 'Сохранить',
    saving: 'Сохраняем…',
    saved: 'Сохранено.',
    whole: 'Настройка не принята:',
  },
  {
    back: 'Channels',
    gone: 'There is no such channel',
    since: (when: string) => `since ${when}`,
    check: 'Check the credentials',
    checking: 'Checking…',
    good: 'The provider accepts the credentials.',
    bad: (message: string) => `The provider refuses the credentials: ${message}`,
    pause: 'Pause',
    resume: 'Resume',
    webhook: 'Address for the provider',
    trouble: (message: string) => `No news come from the provider: ${message}`,
    config: 'Configuration',
    reader: 'The configuration is for administrators.',
    save: 'Save',
    saving: 'Saving…',
    saved: 'Saved.',
    whole: 'The configuration was refused:',
  },
);

const route = getRouteApi('/inside/channels/$id');

export function ChannelPage() {
  const t = useTexts(words);
  const { id } = route.useParams();
  const found = useQuery(channelsQuery);
  const { data: me } = useQuery(meQuery);
  const channel = found.data?.items.find((one) => one.id === id);
  useDocumentTitle(channel?.name ?? t.back);
  return (
    <div className="grid gap-4">
      <Link
        to="/channels"
        className="tap inline-flex items-center gap-1 justify-self-start text-accent underline"
      >
        <ArrowLeft aria-hidden size={16} />
        {t.back}
      </Link>
      {found.isPending && <Loading />}
      {found.isError && <Fault error={found.error} onAgain={() => void found.refetch()} />}
      {found.isSuccess && !channel && <Empty title={t.gone} />}
      {channel && (
        <>
          <Standing channel={channel} />
          <section className="grid gap-4 rounded-2xl border border-line bg-panel p-4">
            <h2 className="text-lg font-semibold">{t.config}</h2>
            {isAdmin(me) ? <Config channel={channel} /> : <p className="text-dim">{t.reader}</p>}
          </section>
        </>
      )}
    </div>
  );
}

/** How the channel stands, and what can be done with it. */
function Standing({ channel }: { channel: Schema['Channel'] }) {
  const t = useTexts(words);
  const h = useTexts(healths);
  const k = useTexts(kinds);
  const r = useTexts(reasons);
  const cache = useQueryClient();
  const locale = useLook((look) => look.locale);
  const params = { path: { id: channel.id } };
  const state = health(channel);
  const refresh = () => cache.invalidateQueries({ queryKey: channelsQuery.queryKey });
  const check = useMutation({ mutationFn: () => ask(client.POST('/v1/channels/{id}/check', { params })) });
  const turn = useMutation({
    mutationFn: (on: boolean) =>
      ask(
        on
          ? client.POST('/v1/channels/{id}/resume', { params })
          : client.POST('/v1/channels/{id}/pause', { params }),
      ),
    onSettled: refresh,
  });
  const isPaused = channel.status === 'paused';
  return (
    <header className="grid gap-3 rounded-2xl border border-line bg-panel p-4">
      <h1 className="text-2xl font-semibold">{channel.name}</h1>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <span className="text-dim">{named(k, channel.kind)}</span>
        <Badge tone={state.tone} sign={state.sign}>
          {h[state.key]}
        </Badge>
        {channel.paused_reason && <span>{named(r, channel.paused_reason)}</span>}
        {channel.paused_since && (
          <span className="text-dim">
            {t.since(`${day(channel.paused_since, locale)} ${clock(channel.paused_since, locale)}`)}
          </span>
        )}
      </div>
      {channel.polling_trouble && <p className="text-warn">{t.trouble(channel.polling_trouble.message)}</p>}
      {channel.webhook_url && (
        <p className="flex flex-wrap items-center gap-2 text-sm">
          <span className="text-dim">{t.webhook}:</span>
          <code className="font-mono">{channel.webhook_url}</code>
          <Copy text={channel.webhook_url} what={t.webhook} />
        </p>
      )}
      <div className="flex flex-wrap gap-2">
        <Button
          disabled={check.isPending || !channel.open}
          onClick={() => {
            check.mutate();
          }}
        >
          <ShieldCheck aria-hidden size={16} />
          {check.isPending ? t.checking : t.check}
        </Button>
        <Button
          disabled={turn.isPending}
          onClick={() => {
            turn.mutate(isPaused);
          }}
        >
          {isPaused ? <CirclePlay aria-hidden size={16} /> : <CirclePause aria-hidden size={16} />}
          {isPaused ? t.resume : t.pause}
        </Button>
      </div>
      {check.isError && <Fault error={check.error} />}
      {turn.isError && <Fault error={turn.error} />}
      <p role="status" className={`empty:hidden ${check.data?.ok ? 'text-good' : 'text-bad'}`}>
        {check.data && (check.data.ok ? t.good : t.bad(check.data.message ?? check.data.code ?? ''))}
      </p>
    </header>
  );
}

function Config({ channel }: { channel: Schema['Channel'] }) {
  const params = { path: { id: channel.id } };
  const schemas = useQuery(kindsQuery);
  const config = useQuery({
    queryKey: ['config', channel.id],
    // What is being changed is not replaced under the hands of whoever changes it.
    staleTime: Infinity,
    queryFn: ({ signal }) => ask(client.GET('/v1/channels/{id}/config', { signal, params })),
  });
  const schema = schemas.data?.items.find((kind) => kind.kind === channel.kind)?.config_schema;
  if (schemas.isPending || (config.isPending && channel.open)) return <Loading />;
  if (schemas.isError) return <Fault error={schemas.error} onAgain={() => void schemas.refetch()} />;
  const shown = (config.data?.config ?? {}) as Record<string, Json>;
  return (
    <>
      {config.isError && <Fault error={config.error} onAgain={() => void config.refetch()} />}
      <ConfigForm key={config.dataUpdatedAt} channel={channel} schema={schema} shown={shown} />
    </>
  );
}

interface ConfigFormProps {
  channel: Schema['Channel'];
  schema: unknown;
  shown: Record<string, Json>;
}

function ConfigForm({ channel, schema, shown }: ConfigFormProps) {
  const t = useTexts(words);
  const reason = useReason();
  const cache = useQueryClient();
  const fields = readSchema(schema);
  const [typed, setTyped] = useState<Typed>(() => toTyped(fields, shown));
  const [isChanged, setChanged] = useState(false);
  const kept = new Set(
    fields
      .filter(
        ({ name, kind }) => Object.hasOwn(shown, name) && shown[name] === null && kind.startsWith('secret'),
      )
      .map(({ name }) => name),
  );
  const save = useMutation({
    mutationFn: () =>
      ask(
        client.PUT('/v1/channels/{id}', {
          params: { path: { id: channel.id } },
          body: { config: toConfig(fields, typed, shown) },
        }),
      ),
    onSuccess: async () => {
      setChanged(false);
      await Promise.all([
        cache.invalidateQueries({ queryKey: channelsQuery.queryKey }),
        cache.invalidateQueries({ queryKey: ['config', channel.id] }),
      ]);
    },
  });
  useLeaveGuard(isChanged);
  const faults = configFaults(save.error);
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      {save.isError && (faults.size === 0 || faults.has('')) && (
        <p role="alert" className="rounded-lg bg-bad-soft px-4 py-2 text-bad">
          {t.whole} {faults.get('') ?? reason(save.error)}
        </p>
      )}
      <SchemaForm
        fields={fields}
        typed={typed}
        kept={kept}
        faults={faults}
        onTyped={(next) => {
          setTyped(next);
          setChanged(true);
          if (save.isSuccess) save.reset();
        }}
      />
      <div className="flex flex-wrap items-center gap-3">
        <Button type="submit" look="main" disabled={save.isPending || !isChanged}>
          {save.isPending ? t.saving : t.save}
        </Button>
        <span role="status" className="text-good">
          {save.isSuccess ? t.saved : ''}
        </span>
      </div>
    </form>
  );
}

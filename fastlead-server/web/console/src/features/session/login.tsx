import { useMutation, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, useRouter } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { Refusal, ask, client } from '@/api/client';
import { useDocumentTitle } from '@/app/heading';
import { LookSwitches } from '@/app/look-switches';
import { meQuery } from '@/app/session';
import { texts, useTexts } from '@/app/text';
import { Button } from '@/ui/button';
import { Field, Input } from '@/ui/field';
import { useReason } from '@/ui/state';

const words = texts(
  {
    title: 'Вход',
    about: 'Консоль заявок',
    login: 'Логин',
    password: 'Пароль',
    show: 'Показать пароль',
    enter: 'Войти',
    entering: 'Входим…',
    wrong: 'Логин или пароль неверны.',
    often: (seconds: number) => `Слишком много попыток. Повторите через ${seconds} с.`,
    site: 'Сервер не признал эту страницу своей. Откройте консоль по её собственному адресу.',
  },
  {
    title: 'Sign in',
    about: 'Console of leads',
    login: 'Login',
    password: 'Password',
    show: 'Show the password',
    enter: 'Sign in',
    entering: 'Signing in…',
    wrong: 'Login or password is wrong.',
    often: (seconds: number) => `Too many attempts. Try again in ${seconds} s.`,
    site: 'The server does not take this page for its own. Open the console at its own address.',
  },
);

const route = getRouteApi('/login');

export function Login() {
  const t = useTexts(words);
  const reason = useReason();
  const router = useRouter();
  const cache = useQueryClient();
  const { next } = route.useSearch();
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const [shown, setShown] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useDocumentTitle(t.title);

  const enter = useMutation({
    mutationFn: () => ask(client.POST('/v1/session', { body: { login, password } })),
    onSuccess: async (me) => {
      cache.clear();
      cache.setQueryData(meQuery.queryKey, me);
      setPassword('');
      if (next) router.history.push(`/console${next}`);
      else await router.navigate({ to: '/leads', search: {} });
    },
  });
  useEffect(() => {
    if (enter.isError) field.current?.focus();
  }, [enter.isError]);

  const said = (error: unknown): string => {
    if (!(error instanceof Refusal)) return reason(error);
    if (error.status === 401) return t.wrong;
    if (error.status === 429) return t.often(error.retryAfter ?? 60);
    return error.code === 'cross_site' ? t.site : reason(error);
  };

  return (
    <main className="grid min-h-dvh content-center justify-items-center gap-6 p-4">
      <form
        className="grid w-full max-w-sm gap-4 rounded-2xl border border-line bg-panel p-6 shadow-sm"
        onSubmit={(event) => {
          event.preventDefault();
          enter.mutate();
        }}
      >
        <div>
          <p className="text-sm font-medium text-dim">FastLead · {t.about}</p>
          <h1 className="text-2xl font-semibold">{t.title}</h1>
        </div>
        {enter.isError && (
          <p role="alert" className="rounded-lg bg-bad-soft px-3 py-2 text-bad">
            {said(enter.error)}
          </p>
        )}
        <Field label={t.login}>
          {(props) => (
            <Input
              {...props}
              name="login"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
              value={login}
              onChange={(event) => {
                setLogin(event.target.value);
              }}
            />
          )}
        </Field>
        <Field label={t.password}>
          {(props) => (
            <Input
              {...props}
              ref={field}
              name="password"
              type={shown ? 'text' : 'password'}
              autoComplete="current-password"
              required
              value={password}
              onChange={(event) => {
                setPassword(event.target.value);
              }}
            />
          )}
        </Field>
        <label className="tap flex items-center gap-2 text-sm">
          <input
            type="checkbox"
            className="size-6"
            checked={shown}
            onChange={(event) => {
              setShown(event.target.checked);
            }}
          />
          {t.show}
        </label>
        <Button type="submit" look="main" className="min-h-11" disabled={enter.isPending}>
          {enter.isPending ? t.entering : t.enter}
        </Button>
      </form>
      <LookSwitches />
    </main>
  );
}

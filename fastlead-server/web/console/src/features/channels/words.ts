import { CircleCheck, CirclePause, CircleX, Unplug } from 'lucide-react';
import type { Schema } from '@/api/client';
import { texts } from '@/app/text';
import type { Tone } from '@/ui/badge';
import type { LucideIcon } from 'lucide-react';

/** Why a channel is paused, by the code of the error that paused it. */
export const reasons = texts(
  {
    operator: 'так решил человек',
    auth: 'провайдер не принимает доступы',
    balance: 'не хватает денег',
    config: 'настройка неверна',
    unsupported: 'провайдер этого не умеет',
  },
  {
    operator: 'a person has decided so',
    auth: 'the provider refuses the credentials',
    balance: 'not enough money',
    config: 'the configuration is wrong',
    unsupported: 'the provider cannot do this',
  },
);

export const kinds = texts(
  {
    telegram: 'Телеграм',
    max: 'МАКС',
    vk: 'ВКонтакте',
    smsc: 'СМС через SMSC',
    smtp: 'Почта',
    webhook: 'Уведомления программе',
  },
  {
    telegram: 'Telegram',
    max: 'MAX',
    vk: 'VK',
    smsc: 'SMS by SMSC',
    smtp: 'E-mail',
    webhook: 'Webhooks',
  },
);

export interface Health {
  key: 'closed' | 'paused' | 'trouble' | 'breaker' | 'works';
  tone: Tone;
  sign: LucideIcon;
}

/** How a channel stands, the worst first. */
export function health(channel: Schema['Channel']): Health {
  if (!channel.open) return { key: 'closed', tone: 'bad', sign: CircleX };
  if (channel.status === 'paused') return { key: 'paused', tone: 'warn', sign: CirclePause };
  if (channel.breaker !== undefined && channel.breaker !== null && channel.breaker !== 'closed') {
    return { key: 'breaker', tone: 'bad', sign: Unplug };
  }
  if (channel.polling_trouble) return { key: 'trouble', tone: 'warn', sign: Unplug };
  return { key: 'works', tone: 'good', sign: CircleCheck };
}

export const healths = texts(
  {
    closed: 'настройка не открывается',
    paused: 'приостановлен',
    trouble: 'новости не приходят',
    breaker: 'провайдер не отвечает',
    works: 'работает',
  },
  {
    closed: 'configuration does not open',
    paused: 'paused',
    trouble: 'no news come',
    breaker: 'the provider does not answer',
    works: 'works',
  },
);

/** Labels of the fields of configurations. A field of an adapter that is not known here is shown by its name. */
export const labels = texts(
  {
    bot_token: 'Ключ бота',
    endpoint: 'Адрес сервера провайдера',
    message_thread_id: 'Тема группы',
    messages_per_second: 'Сообщений в секунду',
    proxy: 'Прокси',
    timeout_secs: 'Сколько ждать ответа, секунд',
    updates: 'Как приходят ответы и нажатия',
    webhook_secret: 'Секрет вебхука',
    ca_pem: 'Свои корневые сертификаты (PEM)',
    formatting: 'Оформление текста',
    access_token: 'Ключ доступа',
    group_id: 'Номер сообщества',
    callback_secret: 'Секретный ключ обратных вызовов',
    callback_signature: 'Подпись обратных вызовов',
    confirmation_code: 'Строка подтверждения',
    requests_per_second: 'Запросов в секунду',
    server_title: 'Название сервера обратных вызовов',
    text_max: 'Наибольшая длина текста',
    api_key: 'Ключ API',
    login: 'Логин',
    password: 'Пароль',
    sender: 'Имя отправителя',
    max_segments: 'Не больше частей в СМС',
    translit: 'Транслит',
    valid_hours: 'Сколько часов ждать телефон',
    host: 'Почтовый сервер',
    port: 'Порт',
    tls: 'Шифрование',
    username: 'Пользователь',
    mechanisms: 'Способы входа',
    from: 'Отправитель',
    address: 'Адрес',
    name: 'Имя',
    reply_to: 'Адрес для ответов',
    return_path: 'Адрес для возвратов',
    hello_name: 'Как представляться серверу',
    message_id_domain: 'Домен номера письма',
    list_unsubscribe: 'Страница отписки',
    pool_max: 'Наибольшее число соединений',
    accept_timeout_secs: 'Сколько ждать последнего слова, секунд',
    priority: 'Приоритет',
    url: 'Адрес программы',
    secrets: 'Ключи подписи, по одному в строке',
    headers: 'Заголовки, «имя: значение» в строке',
    signing_keys: 'Открытые ключи подписи (JWKS)',
    phone_number_id: 'Идентификатор номера',
    api_version: 'Версия API',
    app_secret: 'Секрет приложения',
    verify_token: 'Проверочное слово вебхука',
    template: 'Шаблон',
    language: 'Язык',
    when: 'Когда',
    parameters: 'Параметры',
    value: 'Значение',
    quick_replies: 'Быстрых ответов в шаблоне',
    parameter_max: 'Наибольшая длина параметра',
  },
  {
    bot_token: 'Token of the bot',
    endpoint: 'Address of the provider',
    message_thread_id: 'Topic of the group',
    messages_per_second: 'Messages a second',
    proxy: 'Proxy',
    timeout_secs: 'Time to wait for an answer, seconds',
    updates: 'How answers and presses come back',
    webhook_secret: 'Secret of the webhook',
    ca_pem: 'Own root certificates (PEM)',
    formatting: 'Formatting of texts',
    access_token: 'Access key',
    group_id: 'Number of the community',
    callback_secret: 'Secret of callbacks',
    callback_signature: 'Signature of callbacks',
    confirmation_code: 'Confirmation string',
    requests_per_second: 'Requests a second',
    server_title: 'Title of the callback server',
    text_max: 'Longest text',
    api_key: 'API key',
    login: 'Login',
    password: 'Password',
    sender: 'Name of the sender',
    max_segments: 'Most parts of an SMS',
    translit: 'Transliterate',
    valid_hours: 'Hours to wait for a phone',
    host: 'Mail server',
    port: 'Port',
    tls: 'Encryption',
    username: 'User',
    mechanisms: 'Ways to sign in',
    from: 'Sender',
    address: 'Address',
    name: 'Name',
    reply_to: 'Address for answers',
    return_path: 'Address for bounces',
    hello_name: 'Name to greet the server with',
    message_id_domain: 'Domain of message ids',
    list_unsubscribe: 'Page to unsubscribe',
    pool_max: 'Most connections',
    accept_timeout_secs: 'Time to wait for the last word, seconds',
    priority: 'Priority',
    url: 'Address of the program',
    secrets: 'Signing secrets, one a line',
    headers: 'Headers, “name: value” a line',
    signing_keys: 'Public signing keys (JWKS)',
    phone_number_id: 'Id of the number',
    api_version: 'API version',
    app_secret: 'Secret of the app',
    verify_token: 'Verification word of the webhook',
    template: 'Template',
    language: 'Language',
    when: 'When',
    parameters: 'Parameters',
    value: 'Value',
    quick_replies: 'Quick replies in the template',
    parameter_max: 'Longest parameter',
  },
);

/** Names of the choices that configurations have. */
export const choices = texts(
  {
    off: 'не приходят: только отправка',
    polling: 'опрашиваем провайдера',
    webhook: 'провайдер вызывает нас',
    wrapper: 'сразу (порт 465)',
    required: 'после приветствия (STARTTLS)',
    none: 'без шифрования',
  },
  {
    off: 'not at all: only sending',
    polling: 'we ask the provider',
    webhook: 'the provider calls us',
    wrapper: 'at once (port 465)',
    required: 'after the greeting (STARTTLS)',
    none: 'without encryption',
  },
);

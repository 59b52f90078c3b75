// Sites of other people for the tests of the widget, and a way to the server that can be cut.
import assert from 'node:assert/strict';
import { createServer, request as ask } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';

async function listen(server, port = 0) {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  // A story that ends early is not held up by it.
  server.unref();
  return server.address().port;
}

// Forwards everything to `base` until it is cut, and counts what was sent to capture.
export async function relay(base) {
  const target = new URL(base);
  const captures = [];
  const sockets = new Set();
  let server;
  let gate;
  let port = 0;
  const forward = (incoming, outgoing) => {
    const options = { host: target.hostname, port: target.port, method: incoming.method, path: incoming.url, headers: incoming.headers };
    const passed = ask(options, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  };
  const start = async () => {
    server = createServer(async (incoming, outgoing) => {
      if (incoming.url.startsWith('/v1/capture/')) captures.push(`${incoming.method} ${incoming.url}`);
      if (gate && incoming.url.startsWith('/v1/capture/')) await gate;
      forward(incoming, outgoing);
    });
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    port = await listen(server, port);
  };
  await start();
  return {
    origin: `http://127.0.0.1:${port}`,
    captures,
    start,
    // Answers to captures wait until the function that is given back is called.
    hold() {
      let release;
      gate = new Promise((resolve) => { release = resolve; });
      return () => { gate = undefined; release(); };
    },
    async cut() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

// A site with a strict policy: scripts and connections of `host` alone, styles of its own files, Trusted Types.
export async function site(host) {
  const pages = new Map();
  const server = createServer((incoming, outgoing) => {
    const page = pages.get(new URL(incoming.url, 'http://site.invalid').pathname);
    if (!page) {
      outgoing.writeHead(incoming.url === '/favicon.ico' ? 204 : 404);
      outgoing.end();
      return;
    }
    const kind = typeof page === 'string' && page.startsWith('/*css*/') ? 'text/css' : 'text/html';
    outgoing.writeHead(200, {
      'content-type': `${kind}; charset=utf-8`,
      'cache-control': 'no-store',
      'content-security-policy': `default-src 'none'; script-src ${host}; connect-src ${host}; style-src 'self'; base-uri 'none'; `
        + "form-action 'none'; require-trusted-types-for 'script'",
    });
    if (typeof page === 'function') page(outgoing);
    else outgoing.end(page);
  });
  const port = await listen(server);
  const origin = `http://127.0.0.1:${port}`;
  return {
    origin,
    // A page with `head` and `body`; `css` is a file of its own.
    page(path, { head = '', body = '', css = '', lang = 'ru' }) {
      pages.set(`${path}.css`, `/*css*/${css}`);
      pages.set(path, `<!doctype html><html lang="${lang}"><head><meta charset="utf-8"><title>Магазин</title>
        <meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="${path}.css">${head}</head>
        <body>${body}</body></html>`);
      return origin + path;
    },
    // A page that is written by a function, piece by piece.
    written(path, write) {
      pages.set(path, write);
      return origin + path;
    },
    close: () => server.close(),
  };
}

// The operator's view: what has really arrived.
export async function desk(base) {
  const call = async (method, path, body, token) => {
    const response = await fetch(base + path, {
      method,
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  };
  const { access_token: token } = await call('POST', '/v1/login', { login: 'admin', password: 'demo-password' });
  const get = (path) => call('GET', path, undefined, token);
  return {
    get,
    post: (path, body) => call('POST', path, body, token),
    put: (path, body) => call('PUT', path, body, token),
    // The newest leads with this phone number.
    async leads(phone) {
      const { items } = await get('/v1/leads?limit=200');
      return items.filter((lead) => lead.capture.phone === phone);
    },
    async one(phone) {
      const found = await this.leads(phone);
      assert.equal(found.length, 1, `${found.length} leads of ${phone}`);
      return found[0];
    },
  };
}

// A picture. The caret stays: hiding it writes a style into the page, which strict sites refuse.
export function picture(page, out, name) {
  return page.screenshot({ path: join(out, name), fullPage: !name.includes('popup'), caret: 'initial' });
}

// What must not happen on a page of a site: errors, requests to anybody else, cookies.
export function watch(context, origins, faults, { deadHost = false } = {}) {
  const refused = (text) => deadHost && (text?.includes('ERR_CONNECTION') || text?.includes('ERR_EMPTY_RESPONSE') || text?.includes('ERR_ABORTED'));
  context.on('request', (request) => {
    const { origin } = new URL(request.url());
    if (!origins.includes(origin)) faults.push(`a request to ${origin}`);
  });
  context.on('requestfailed', (request) => {
    const text = request.failure()?.errorText;
    if (!refused(text) && text !== 'net::ERR_ABORTED') faults.push(`${request.url()} failed: ${text}`);
  });
  context.on('console', (message) => {
    const ofNetwork = message.text().startsWith('Failed to load resource');
    const { url, lineNumber } = message.location();
    if (message.type() === 'error' && !ofNetwork) faults.push(`console: ${message.text()} (${url}:${lineNumber})`);
    if (message.type() === 'error' && ofNetwork && !deadHost && !message.text().includes('422')) faults.push(`console: ${message.text()}`);
  });
  context.on('weberror', (error) => faults.push(`script: ${error.error().stack ?? error.error().message}`));
}

// Elements, made without markup in texts: sites may forbid that (Trusted Types).
type Child = Node | string | false | undefined | null | '';

/** An element with properties, attributes (names with a dash, and `role`) and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Record<string, unknown> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (name === 'role' || name.includes('-')) made.setAttribute(name, String(value));
    else Object.assign(made, { [name]: value });
  }
  made.append(...children.filter((child): child is Node | string => !!child));
  return made;
}

/** A host whose inside the styles of the site do not reach. */
export function shadow(host: HTMLElement, css: string): ShadowRoot {
  const root = host.attachShadow({ mode: 'open' });
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
  } catch {
    // A browser of before 2023; a site with a strict policy sees a plain form there.
    root.append(element('style', { textContent: css }));
  }
  return root;
}

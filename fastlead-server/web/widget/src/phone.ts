// A phone number while it is typed: separators come by themselves, digits stay as they are.

/** Characters of a number that may be arranged anew; with any other it is left as it was typed. */
const ARRANGED = /^[\s+\d().‐-―-]*$/;

/** The Russian way: 900 000-00-00. */
function grouped(digits: string): string {
  const parts = [digits.slice(0, 3), digits.slice(3, 6), digits.slice(6, 8), digits.slice(8)];
  const [code = '', ...rest] = parts.filter(Boolean);
  return rest.length ? `${code} ${rest.join('-')}` : code;
}

function arranged(text: string): string {
  const digits = text.replace(/\D/g, '');
  const plus = text.trimStart().startsWith('+') ? '+' : '';
  if (!ARRANGED.test(text) || text.lastIndexOf('+') > text.indexOf('+') || text.trimStart().indexOf('+') > 0) return text;
  const first = digits[0] ?? '';
  const country = plus ? first === '7' : first === '7' || first === '8';
  const mobile = !plus && first === '9';
  if (!country && !mobile) return text;
  if (digits.length > (mobile ? 10 : 11)) return plus + digits;
  if (mobile) return grouped(digits);
  const rest = grouped(digits.slice(1));
  return plus + first + (rest && ` ${rest}`);
}

const isMark = (character: string): boolean => /[+\d]/.test(character);

/** The number with its separators, and where the caret stands then: after the digit after which it stood. */
export function mask(text: string, caret: number): [string, number] {
  const out = arranged(text);
  if (out === text) return [text, caret];
  if (caret >= text.length) return [out, out.length];
  let left = [...text.slice(0, caret)].filter(isMark).length;
  let at = 0;
  while (left > 0 && at < out.length) {
    if (isMark(out[at] ?? '')) left -= 1;
    at += 1;
  }
  return [out, at];
}

/** The number once it is typed: how the server reads it, where there is but one way. */
export function settled(text: string): string {
  const digits = text.replace(/\D/g, '');
  if (!ARRANGED.test(text) || text.includes('+')) return arranged(text);
  if (digits.length === 11 && /^[78]/.test(digits)) return arranged(`+7${digits.slice(1)}`);
  if (digits.length === 10 && digits.startsWith('9')) return arranged(`+7${digits}`);
  return arranged(text);
}

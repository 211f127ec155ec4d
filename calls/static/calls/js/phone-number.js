// Phone numbers as people write them. PURE.
//
// The server has the same rule in calls/search.py; tests hold both to tests/js/numbers.json.

const NUMBER = /^\+?[\s()[\]./0-9\u2010-\u2015\u2212-]+$/u;
const LEAST_DIGITS = 3; // fewer are in nearly every number
const MOST_DIGITS = 15; // E.164

/**
 * Returns what raw ids contain of a phone number, such as `(555) 123-4567`; [] if `text` is none.
 */
export function numberParts(text) {
  const plain = text
    .normalize("NFKC")
    .replaceAll(/\p{Cf}/gu, "")
    .trim()
    .replace(/^tel:/i, "");
  if (!NUMBER.test(plain)) return [];
  const digits = plain.replaceAll("(0)", "").replaceAll(/[^0-9]/g, "");
  if (plain.startsWith("+")) return international(digits);
  if (digits.startsWith("00")) return [...international(digits.slice(2)), ...anywhere(digits)];
  // Of North America, or the beginning of a national number.
  if (digits.startsWith("011"))
    return [...international(digits.slice(3)), ...anywhere(digits.slice(1))];
  return anywhere(digits.replace(/^0/, ""));
}

function international(number) {
  return anywhere(number).flatMap((each) => [`+${each}`, `4:${each}`]);
}

function anywhere(number) {
  return number.length < LEAST_DIGITS || number.length > MOST_DIGITS ? [] : [number];
}

// Figures as people read them. Money comes as decimal text and is rounded as such, never by way of a float.
const locale = "en-US";
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });

// 1234567 -> "1,234,567"
export function count(number) {
  return number === null || number === undefined ? "–" : whole.format(number);
}

const STEPS = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "k"],
];

// 1234567 -> "1.23M"; below ten thousand as it is.
export function short(number) {
  if (number === null || number === undefined) return "–";
  if (Math.abs(number) < 10_000) return whole.format(number);
  const [size, letter] = STEPS.find(([step]) => Math.abs(number) >= step);
  const scaled = number / size;
  return `${scaled.toFixed(Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : 2)}${letter}`;
}

// Decimal text rounded half away from zero to `places`, as text without grouping.
export function rounded(decimal, places) {
  const negative = decimal.startsWith("-");
  const [front, back = ""] = decimal.replace("-", "").split(".");
  const digits = BigInt(front + back.padEnd(places + 1, "0").slice(0, places + 1));
  const text = ((digits + 5n) / 10n).toString().padStart(places + 1, "0");
  const shown = places ? `${text.slice(0, -places)}.${text.slice(-places)}` : text;
  return negative && /[1-9]/.test(shown) ? `-${shown}` : shown;
}

// USD of decimal text: "$1,234.57", "$0.0123", "$0.00421", "$0.0000042".
export function money(decimal) {
  if (decimal === null || decimal === undefined) return "unknown";
  const text = String(decimal);
  const size = Math.abs(Number(text));
  if (size === 0) return "$0";
  const places = size >= 1 ? 2 : size >= 0.01 ? 4 : Math.min(15, (size >= 0.001 ? 2 : 1) - Math.floor(Math.log10(size)));
  const [front, back] = rounded(text, places).replace("-", "").split(".");
  const grouped = front.replace(/\B(?=(\d{3})+$)/g, ",");
  const tail = size >= 0.01 ? back : back.replace(/0+$/, "").padEnd(2, "0");
  return `${text.startsWith("-") ? "−" : ""}$${grouped}.${tail}`;
}

// Every digit, for a title: "$0.000123456789"
export function exactMoney(decimal) {
  return decimal === null || decimal === undefined ? "no price is known" : `$${decimal}`;
}

// 0.1234 -> "12.3%"
export function percent(share, places = 1) {
  if (share === null || share === undefined) return "–";
  const shown = Math.abs(share * 100);
  return `${share < 0 ? "−" : ""}${shown !== 0 && shown < 0.05 ? "<0.1" : shown.toFixed(shown === 0 || shown === 100 ? 0 : places)}%`;
}

// Milliseconds: "840 ms", "1.24 s", "2 min 5 s", "3 h 4 min"
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds) % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

// The change from `before` to `now` as a share, or null where that means nothing.
export function growth(now, before) {
  const [to, from] = [Number(now), Number(before)];
  return Number.isFinite(to) && Number.isFinite(from) && from !== 0 ? (to - from) / from : null;
}

const formats = new Map();

function format(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
    } catch {
      made = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

const TIME = { hour: "2-digit", minute: "2-digit" };
const DATE = { day: "numeric", month: "short" };

// "25 Nov, 14:03:07" by the clock of `zone`; `at` is ISO 8601.
export function moment(at, zone) {
  return at ? format(zone, { ...DATE, ...TIME, second: "2-digit" }).format(new Date(at)) : "–";
}

// "25 Nov 2026, 14:03"
export function longMoment(at, zone) {
  return at ? format(zone, { ...DATE, year: "numeric", ...TIME }).format(new Date(at)) : "–";
}

// "25 Nov 2026"
export function day(at, zone) {
  return at ? format(zone, { ...DATE, year: "numeric" }).format(new Date(at)) : "–";
}

// Where a bucket of a chart begins: "14:00", "25 Nov", "Nov 2026"
export function bucket(at, granularity, zone) {
  const options = { hour: TIME, day: DATE, week: DATE, month: { month: "short", year: "numeric" } }[granularity];
  return format(zone, options).format(new Date(at));
}

// The same in words of its own: "Wed 25 Nov, 14:00"
export function longBucket(at, granularity, zone) {
  if (granularity === "month") return bucket(at, granularity, zone);
  const options = { weekday: "short", ...DATE, ...(granularity === "hour" ? TIME : {}) };
  return (granularity === "week" ? "Week of " : "") + format(zone, options).format(new Date(at));
}

// "12 s ago", "3 min ago", "2 h ago", else the day
export function ago(at, zone) {
  if (!at) return "–";
  const seconds = Math.max(0, Math.round((Date.now() - new Date(at)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return day(at, zone);
}

// Decimal text with its point `places` to the right: shifted("0.000005", 6) is "5".
export function shifted(decimal, places) {
  const negative = decimal.startsWith("-");
  const [front, back = ""] = decimal.replace("-", "").split(".");
  const digits = front + back.padEnd(places, "0");
  const whole = digits.slice(0, front.length + places).replace(/^0+(?=\d)/, "");
  const rest = digits.slice(front.length + places).replace(/0+$/, "");
  return `${negative ? "-" : ""}${whole}${rest ? `.${rest}` : ""}`;
}

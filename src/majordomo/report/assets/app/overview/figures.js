// The foremost figures, each against the time before.
import { html } from "../ui.js";
import { useAnswer } from "../api.js";
import { count, exactMoney, money, percent, short } from "../format.js";
import { asking } from "../state.js";
import { Change } from "../parts/change.js";
import { Panel } from "../parts/panel.js";

export function Figures({ query }) {
  const asked = useAnswer("/usage/summary", asking(query, { compare: "previous" }));
  return html`<${Panel} asked=${asked} className="whole" label="Figures">
    ${(answer) => {
      const [now, before] = [answer.usage, answer.previous.usage];
      const figure = (label, shown, title, key, goodWhen) => html`<li class="figure">
        <span class="figure-label">${label}</span>
        <span class="figure-value" title=${title}>${shown}</span>
        <${Change} now=${now[key]} before=${before[key]} goodWhen=${goodWhen} hint="against the time before" />
      </li>`;
      return html`<ul class="figures">
        ${figure("Spend", money(now.total_cost), exactMoney(now.total_cost), "total_cost")}
        ${figure("Requests", short(now.requests), count(now.requests), "requests")}
        ${figure("Prompt tokens", short(now.prompt_tokens), count(now.prompt_tokens), "prompt_tokens")}
        ${figure("Output tokens", short(now.output_tokens), count(now.output_tokens), "output_tokens")}
        ${figure("Cache hit rate", percent(now.cache_hit_rate), "", "cache_hit_rate", "up")}
        ${figure("Errors", percent(now.error_rate), `${count(now.errors)} requests`, "error_rate", "down")}
      </ul>`;
    }}
  <//>`;
}

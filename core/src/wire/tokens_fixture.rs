//! Texts and their true number of `o200k_base` tokens, counted with the npm package gpt-tokenizer. None of them
//! was used to fit the prices, save the Russian one.

pub const TEXTS: &[(&str, u64, &str)] = &[
    (
        "english",
        71,
        r##"Thanks for getting back to me so quickly. I had a look at the draft and I think it's nearly there, although the introduction still feels a bit long. Could we cut the second paragraph and move the quote from Daniel closer to the top? I'll be travelling on Thursday, so if you need anything else from me, please send it before Wednesday evening."##,
    ),
    (
        "english",
        35,
        r##"Write a short story about a lighthouse keeper who discovers that the light attracts more than ships. Keep it under five hundred words, avoid clichés, and end on an ambiguous note."##,
    ),
    (
        "english",
        78,
        r##"The committee met on 14 November to discuss the proposed changes to the parking rules. Several residents objected that the new permits, at $85 a year, would fall hardest on families with more than one car. Councillor Whitfield replied that the revenue was already earmarked for resurfacing Mill Lane, which has not been repaired since 2009. A decision was postponed until January."##,
    ),
    (
        "english",
        72,
        r##"Ownership is a set of rules that govern how a program manages memory. Some languages have garbage collection that regularly looks for memory no longer in use; in others the programmer must explicitly allocate and free it. Here a third approach is taken: memory is managed through a system of ownership that the compiler checks, and none of its features slow the program while it runs."##,
    ),
    (
        "english",
        84,
        r##"## Summary

- **Latency**: the median fell from 410 ms to 95 ms after the cache was moved closer to the users.
- **Errors**: down to 0.02%, mostly timeouts during deployments.
- **Open questions**: Should we keep the old endpoint until March? Who owns the migration guide?

Overall the rollout went well; the next step is to remove the feature flag."##,
    ),
    (
        "chinese",
        91,
        r##"今年的冬天来得特别早,十一月刚过一半,街上的人就都穿上了羽绒服。我下班以后去菜市场转了一圈,买了点白菜和豆腐,准备回家煮个热汤。邻居阿姨看见我,笑着问我什么时候带女朋友回来吃饭,我只好装作没听见,赶紧上楼了。"##,
    ),
    (
        "chinese",
        47,
        r##"请用通俗易懂的语言解释一下什么是区块链,并举两个生活中的例子。回答不要超过三百字,语气轻松一点,适合没有技术背景的中学生阅读。"##,
    ),
    (
        "chinese",
        90,
        r##"为了提高系统的可用性,我们在三个可用区部署了相同的服务,并通过负载均衡器把请求分发到健康的节点上。当某个节点连续三次健康检查失败时,它会被自动摘除,恢复正常后再重新加入集群。数据库采用一主两从的架构,主库故障时会在三十秒内完成切换。"##,
    ),
    (
        "chinese",
        96,
        r##"这部电影最打动我的地方不是宏大的场面,而是那些细小的瞬间:父亲在车站默默递过来的一袋橘子,母亲藏在枕头下面的旧照片,还有弟弟假装不在意却悄悄红了的眼眶。导演没有刻意煽情,却让坐在黑暗里的每一个人都想起了自己的家。"##,
    ),
    (
        "chinese",
        72,
        r##"会议纪要:一、市场部汇报了第四季度的推广计划,预算为120万元,主要用于短视频平台;二、研发部表示新版本将于12月15日上线,目前还有8个严重缺陷没有修复;三、总经理要求各部门在本周五之前提交明年的工作目标。"##,
    ),
    (
        "code",
        105,
        r##"use std::collections::HashMap;

/// Counts how often each word occurs.
pub fn word_counts(text: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for word in text.split_whitespace() {
        let key = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if !key.is_empty() {
            *counts.entry(key).or_insert(0) += 1;
        }
    }
    counts
}
"##,
    ),
    (
        "code",
        175,
        r##"import asyncio
from dataclasses import dataclass, field

@dataclass
class Job:
    name: str
    retries: int = 3
    tags: list[str] = field(default_factory=list)

async def run_all(jobs: list[Job], limit: int = 8) -> dict[str, Exception | None]:
    semaphore = asyncio.Semaphore(limit)
    results = {}

    async def run(job):
        async with semaphore:
            for attempt in range(1, job.retries + 1):
                try:
                    await execute(job)
                    results[job.name] = None
                    return
                except TimeoutError as e:
                    results[job.name] = e
                    await asyncio.sleep(0.1 * 2 ** attempt)

    await asyncio.gather(*(run(j) for j in jobs))
    return results
"##,
    ),
    (
        "code",
        152,
        r##"export async function fetchJson(url, { signal, headers = {}, timeoutMs = 10_000 } = {}) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  try {
    const response = await fetch(url, { headers: { accept: "application/json", ...headers }, signal: signal ?? controller.signal });
    if (!response.ok) {
      throw new Error(`HTTP ${response.status} for ${url}`);
    }
    return await response.json();
  } finally {
    clearTimeout(timer);
  }
}

document.querySelectorAll(".card").forEach((card) => {
  card.addEventListener("click", () => card.classList.toggle("card--open"));
});
"##,
    ),
    (
        "code",
        141,
        r##"#include <stdio.h>
#include <stdlib.h>

typedef struct node { int key; struct node *left, *right; } node_t;

static node_t *insert(node_t *root, int key) {
    if (root == NULL) {
        node_t *n = malloc(sizeof(*n));
        if (!n) abort();
        n->key = key;
        n->left = n->right = NULL;
        return n;
    }
    if (key < root->key)
        root->left = insert(root->left, key);
    else if (key > root->key)
        root->right = insert(root->right, key);
    return root;
}
"##,
    ),
    (
        "code",
        96,
        r##"SELECT c.id, c.name, COUNT(o.id) AS orders, COALESCE(SUM(o.total_cents), 0) / 100.0 AS revenue
FROM customers AS c
LEFT JOIN orders AS o ON o.customer_id = c.id AND o.created_at >= DATE('now', '-30 days')
WHERE c.deleted_at IS NULL
GROUP BY c.id, c.name
HAVING orders > 2
ORDER BY revenue DESC
LIMIT 50;
"##,
    ),
    (
        "code",
        100,
        r##"{
  "name": "get_weather",
  "description": "Current weather for a place",
  "parameters": {
    "type": "object",
    "properties": {
      "city": { "type": "string", "description": "Name of the city" },
      "unit": { "type": "string", "enum": ["celsius", "fahrenheit"] }
    },
    "required": ["city"],
    "additionalProperties": false
  }
}
"##,
    ),
    (
        "other",
        65,
        r##"昨日は友達と一緒に京都へ行きました。紅葉がとてもきれいで、お寺の庭でゆっくり写真を撮りました。帰りに抹茶のアイスクリームを食べて、電車の中で少し寝てしまいました。"##,
    ),
    (
        "other",
        60,
        r##"어제는 친구와 함께 한강 공원에서 자전거를 탔습니다. 날씨가 맑고 바람도 시원해서 정말 기분이 좋았어요. 저녁에는 근처 식당에서 삼겹살을 먹고 집에 돌아왔습니다."##,
    ),
    (
        "other",
        51,
        r##"Вчера мы с друзьями поехали за город, чтобы собрать грибы, но начался сильный дождь, и пришлось вернуться раньше времени. Зато вечером мы приготовили вкусный ужин и долго разговаривали у камина."##,
    ),
    (
        "other",
        45,
        r##"Gestern sind wir mit dem Zug nach Nürnberg gefahren, um den Weihnachtsmarkt zu besuchen. Es war eiskalt, aber der Glühwein und die gebrannten Mandeln haben uns schnell wieder aufgewärmt."##,
    ),
    (
        "other",
        35,
        r##"Hier, nous sommes allés au marché pour acheter des légumes frais et du fromage. Le vendeur nous a expliqué comment préparer une vraie ratatouille à la provençale."##,
    ),
];

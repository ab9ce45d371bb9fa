//! Every text of the console, in every language, in one place.

use crate::contract::Rule;

macro_rules! texts {
    ($($name:ident: $en:literal, $ja:literal;)+) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub struct Texts {
            $(pub $name: &'static str,)+
        }

        static EN: Texts = Texts { $($name: $en,)+ };
        static JA: Texts = Texts { $($name: $ja,)+ };

        #[cfg(test)]
        impl Texts {
            const NAMES: &[&str] = &[$(stringify!($name),)+];

            fn all(&self) -> Vec<&'static str> {
                vec![$(self.$name,)+]
            }
        }
    };
}

texts! {
    skip: "Skip to content", "本文へ移動";
    navigation: "Main", "メイン";
    overview: "Overview", "概況";
    orders: "Orders", "注文";
    dead_letters: "Dead letters", "不達メッセージ";
    replays: "Replays", "再処理";
    deadlines: "Deadlines", "期限";
    ledger: "Ledger", "台帳";
    language: "Language", "言語";
    sign_in: "Sign in", "サインイン";
    sign_out: "Sign out", "サインアウト";
    signed_in_as: "Signed in as", "サインイン中:";
    acting_as: "Acting as", "操作者:";
    token: "Your token", "トークン";
    token_hint: "The line that begins with otk_. Who runs Otodoke makes one with `otodoke token`.", "otk_ で始まる文字列です。管理者が `otodoke token` で発行します。";
    token_wrong: "This token is not known, or no longer good.", "このトークンは無効か、期限切れです。";
    token_wait: "Too many attempts have failed. Try again in a minute.", "失敗が続いたため、1 分ほど待ってからやり直してください。";
    closed: "The console is closed: Otodoke listens on an address that is not loopback, and no sign-in is set up. Set OTODOKE_CONSOLE_TOKENS, or a trusted proxy's header.", "コンソールは閉じています。ループバック以外のアドレスで待ち受けていますが、サインインが設定されていません。OTODOKE_CONSOLE_TOKENS か、信頼するプロキシのヘッダーを設定してください。";
    not_named: "The proxy in front of Otodoke did not say who you are.", "前段のプロキシから利用者名が届いていません。";
    unknown_host: "This is not a name that the console answers to. Open it by its own address.", "この名前ではコンソールを開けません。本来のアドレスで開いてください。";
    lacks_role: "Your role does not allow this.", "この操作を行う権限がありません。";
    not_found: "There is nothing here.", "見つかりません。";
    unknown_case: "Nothing is known of this order.", "この注文については何も記録されていません。";
    unavailable: "The database does not answer, or took too long. Try again in a moment.", "データベースが応答しないか、時間がかかりすぎています。しばらくしてからやり直してください。";
    not_done: "It was not done", "実行されませんでした";
    error: "This did not work", "エラー";
    back: "Back to the overview", "概況へ戻る";
    health: "Health", "稼働状況";
    broker: "Broker", "ブローカー";
    database: "Database", "データベース";
    answers: "answers", "応答あり";
    answers_not: "does not answer", "応答なし";
    all_well: "Broker and database answer.", "ブローカーもデータベースも応答しています。";
    not_well: "Something does not answer: see below.", "応答のないサービスがあります。下をご覧ください。";
    letters_open: "Open dead letters", "未処理の不達メッセージ";
    streams: "Streams, last ten minutes", "ストリーム(直近 10 分)";
    stream: "Stream", "ストリーム";
    waiting: "Waiting", "待ち";
    consumers: "Consumers", "受信者";
    per_second: "Per second", "毎秒";
    last_at: "Last event in", "最終受信";
    drained_in: "Done in", "解消まで";
    seconds: "s", "秒";
    trend: "Trend", "推移";
    lag: "Lag of the last batch", "直近の処理の遅れ";
    derived: "Derived events, last ten minutes", "導出イベント(直近 10 分)";
    kind: "Type", "種別";
    count: "Count", "件数";
    nothing_derived: "None was derived in the last ten minutes.", "直近 10 分に導出されたイベントはありません。";
    outbox: "Waiting to be sent", "送信待ち";
    oldest: "The oldest waits since", "最も古いものの待機開始";
    paused: "Paused types", "停止中の種別";
    parked: "Parked cases", "保留中の案件";
    overdue: "Overdue since", "遅延の開始";
    deadlines_ahead: "Deadlines ahead", "これからの期限";
    due_now: "Due now", "期限到来";
    in_hour: "Within an hour", "1 時間以内";
    in_day: "Within a day", "1 日以内";
    in_week: "Within a week", "1 週間以内";
    no_letters: "No dead letter is open.", "未処理の不達メッセージはありません。";
    find_orders: "Find orders", "注文を探す";
    order_query: "Order number or its beginning, buyer, or e-mail", "注文番号(先頭の一部でも可)、購入者 ID、メールアドレス";
    status: "Status", "状態";
    any: "any", "すべて";
    search: "Search", "検索";
    order: "Order", "注文";
    placed: "Placed", "注文日時";
    payment: "Payment", "支払い";
    seller: "Seller", "販売者";
    buyer: "Buyer", "購入者";
    items: "Items", "商品";
    ship_by: "Ship by", "出荷期限";
    no_orders: "No order fits.", "該当する注文はありません。";
    looked_back: "Of these orders none fits. Older ones have not been looked at yet.", "ここまでの注文には該当がありません。さらに古い注文はまだ調べていません。";
    next_page: "Next page", "次のページ";
    look_on: "Look further back", "さらにさかのぼる";
    details: "Details", "詳細";
    not_placed: "Not placed yet; what came for it waits.", "まだ注文が届いていません。届いたイベントは待機しています。";
    authorized: "Authorised", "支払い承認";
    cancelled: "Cancelled", "キャンセル";
    shipping: "Shipping", "送料";
    tax: "Tax", "税";
    sold_by: "Sold by", "販売元";
    fulfilled_by: "Shipped by", "出荷元";
    method: "Method", "支払い方法";
    name: "Name", "氏名";
    email: "E-mail", "メール";
    phone: "Phone", "電話";
    ship_to: "Ship to", "届け先";
    personal_hidden: "Personal data is hidden.", "個人情報は伏せてあります。";
    personal_shown: "Personal data is shown. This was recorded under your name.", "個人情報を表示しています。閲覧はあなたの名前で記録されました。";
    reveal: "Reveal personal data", "個人情報を表示";
    reveal_note: "Recorded under your name.", "あなたの名前で記録されます。";
    lines: "Lines", "明細";
    line: "Line", "行";
    title: "Title", "品名";
    quantity: "Quantity", "数量";
    shipped: "Shipped", "出荷済";
    unshippable: "Unshippable", "出荷不可";
    price: "Price", "単価";
    packages: "Packages", "荷物";
    package: "Package", "荷物";
    carrier: "Carrier", "運送会社";
    tracking: "Tracking", "追跡番号";
    dispatched: "Dispatched", "発送";
    delivered: "Delivered", "配達";
    returned: "Returned", "返送";
    sent: "Sent", "送信日時";
    at_time: "Time", "日時";
    repair_short: "Repair", "修正内容";
    messages: "Messages", "メッセージ";
    message: "Message", "メッセージ";
    thread: "Thread", "スレッド";
    from: "From", "送信者";
    topic: "Topic", "件名区分";
    body: "Body", "本文";
    awaiting: "Awaiting", "返信待ち";
    threads: "Threads", "スレッド";
    refunds: "Refunds", "返金";
    reason: "Reason", "理由";
    amount: "Amount", "金額";
    required: "Required", "発生";
    issued: "Issued", "実行";
    guarantees: "Guarantee", "保証";
    since: "Since", "起点";
    eligible: "Eligible", "対象日時";
    waits_for: "If nothing else arrives", "このまま何も届かなければ";
    waits_nothing: "It waits for nothing: only an event can change it.", "待っているものはありません。新しいイベントでのみ変わります。";
    until: "Until", "期限";
    rule: "Rule", "規則";
    then: "Then", "その後";
    about: "About", "対象";
    settling: "settling", "確定待ち";
    timeline: "Timeline", "時系列";
    earlier: "Earlier", "前へ";
    later: "Later", "後へ";
    kind_event: "Event", "受信";
    kind_rule: "Rule", "規則";
    kind_derived: "Derived", "導出";
    kind_withdrawn: "Withdrawn", "撤回";
    late: "late", "遅着";
    accepted_at: "accepted", "受理";
    published_at: "published", "送信";
    withdrawn_at: "withdrawn", "撤回";
    by_time: "by time alone", "時間の経過による";
    undecided: "This case can't be decided", "この案件は判定できません";
    groups: "By cause", "原因別";
    list: "List", "一覧";
    groups_hint: "Letters with the same code, type, place and reason.", "コード・種別・場所・理由が同じものをまとめています。";
    code: "Code", "コード";
    place: "Place", "場所";
    why: "Why", "理由";
    first_seen: "First seen", "初回";
    last_seen: "Last seen", "最終";
    example: "Example", "例";
    do_replay: "Repair and replay", "修正して再処理";
    do_discard: "Discard", "破棄";
    filter: "Filter", "絞り込み";
    text_in: "Text in it", "含まれる文字";
    since_date: "Seen since (date or time)", "この日時以降";
    until_date: "Seen until (date or time)", "この日時まで";
    no_letter_fits: "No dead letter fits.", "該当する不達メッセージはありません。";
    more_groups: "There are more groups: narrow the filter.", "ほかにもあります。絞り込んでください。";
    times: "Times", "回数";
    letter: "Dead letter", "不達メッセージ";
    event: "Event", "イベント";
    source: "Source", "発生元";
    routing_key: "Routing key", "ルーティングキー";
    content_type: "Content type", "コンテンツタイプ";
    pointer: "Place of the fault", "誤りの場所";
    bytes: "bytes", "バイト";
    headers: "Headers", "ヘッダー";
    fault_here: "the fault is here", "ここが誤り";
    without: "missing here:", "ここに不足:";
    body_hidden: "Not JSON, so hidden as a whole.", "JSON ではないため、すべて伏せてあります。";
    lines_left_out: "lines left out", "行を省略";
    since_then: "Since then", "その後の経過";
    untouched: "Nobody has done anything with it yet.", "まだ何も行われていません。";
    by: "by", "操作者:";
    waits_in_job: "waits in a job", "再処理待ち";
    letters: "letters", "件";
    repair: "Repair (leave empty to replay as it came)", "修正内容(空欄ならそのまま再処理)";
    repair_hint: "One POINTER=JSON a line, such as /data/currency=\"JPY\"; or a JSON Patch (a list); or a merge patch (an object).", "1 行に 1 つ POINTER=JSON(例: /data/currency=\"JPY\")、または JSON Patch(リスト)、または merge patch(オブジェクト)。";
    rate: "At most so many a second (empty: as fast as they go)", "毎秒の上限(空欄なら最速)";
    max_failures: "Stop when more than so many are refused again", "再び拒否された件数がこれを超えたら停止";
    skip_invalid: "Leave out what stays invalid", "直らないものは除く";
    dry_run: "Try it (changes nothing)", "試す(何も変わりません)";
    replay_now: "Replay", "再処理する";
    trial: "What would come of it", "試した結果";
    trial_note: "This was tried and rolled back. Nothing was changed.", "試したうえで取り消しました。何も変わっていません。";
    trial_part: "Only the first were brought through the door; all were judged.", "判定はすべて行い、取り込みは先頭の分だけ試しました。";
    would_be_accepted: "accepted", "受理";
    would_be_duplicates: "duplicates: in the history already", "重複(すでに記録済み)";
    would_be_refused: "refused again", "再び拒否";
    left_alone: "replayed already", "再処理済み";
    derived_would: "Derived events", "導出イベント";
    publish: "published", "送信";
    withdraw: "withdrawn", "撤回";
    no_derived: "No derived event would be published or withdrawn.", "送信・撤回される導出イベントはありません。";
    rows_would: "Read model", "リードモデル";
    rows_none: "Nothing in the read model would differ.", "リードモデルに違いは出ません。";
    new: "new", "追加";
    changed: "changed", "変更";
    gone: "gone", "削除";
    before: "Before", "前";
    after: "After", "後";
    repair_preview: "What the repair changes, by the example of one letter", "修正による違い(1 件を例に)";
    column: "Column", "項目";
    table: "Table", "表";
    row: "Row", "行";
    repair_invalid: "The repair leaves some letters invalid, so nothing was sent. Mend it, narrow the filter, or leave them out.", "修正しても無効なままのものがあるため、送信しませんでした。修正を見直すか、絞り込むか、除外してください。";
    nothing_left: "Nothing is left to replay.", "再処理するものがありません。";
    all_meant: "No filter is given: this is about every open letter.", "絞り込みがないため、未処理のすべてが対象です。";
    discard_reason: "Why nobody needs them", "不要な理由";
    reason_needed: "A reason is needed: whoever looks next wants to know.", "理由を入力してください。次に見る人のためです。";
    discard_hint: "They keep all that came, and can still be replayed. Letters that wait in a replay are left alone.", "内容はすべて残り、あとから再処理もできます。再処理待ちのものはそのままです。";
    discarded: "discarded", "件を破棄しました";
    in_jobs: "wait in a replay and were left alone", "件は再処理待ちのためそのままです";
    job: "Replay", "再処理";
    submitted: "Submitted", "開始";
    state: "State", "状態";
    progress: "Progress", "進み具合";
    of: "of", "/";
    accepted: "Accepted", "受理";
    duplicates: "Duplicates", "重複";
    refused: "Refused again", "再び拒否";
    left: "Waiting", "待ち";
    ended: "Ended", "終了";
    pause: "Pause", "一時停止";
    resume: "Resume", "再開";
    cancel: "Cancel", "中止";
    nothing_replayed: "Nothing was ever replayed.", "再処理はまだありません。";
    only_rule: "Only by rule", "規則で絞る";
    only_case: "Only of order", "注文で絞る";
    before_date: "Before (date or time)", "この日時より前";
    show: "Show", "表示";
    no_deadlines: "Nothing is waited for.", "待っているものはありません。";
    more_deadlines: "There are more: narrow the filter.", "ほかにもあります。絞り込んでください。";
    undecided_count: "cases can't be decided and are left out", "件は判定できないため除いています";
    due: "due", "到来";
    simulate: "Simulate", "シミュレーション";
    simulate_hint: "What would be derived by then if nothing else arrived. Nothing is changed.", "このまま何も届かなければ、その日時までに導出されるもの。何も変わりません。";
    as_of: "By (date or time)", "この日時まで";
    simulated: "would be derived", "件が導出されます";
    simulated_part: "Only the cases that are due first were looked at.", "期限の早い案件だけを調べました。";
    past: "This moment is past.", "過去の日時です。";
    key: "Key", "キー";
    adds_up: "Everything adds up.", "すべて一致しています。";
    adds_not: "This does not add up:", "一致しないもの:";
    period: "Period", "期間";
    last_hour: "last hour", "直近 1 時間";
    last_day: "last day", "直近 1 日";
    last_week: "last week", "直近 1 週間";
    everything: "everything (may take long)", "全期間(時間がかかることがあります)";
    received: "Received", "受信";
    dead: "Dead", "不達";
    in_history: "In the history", "履歴";
    archived: "Archived", "保管済み";
    recorded: "Recorded", "記録";
    published: "Published", "送信済";
    recorded_only: "Recorded only", "記録のみ";
    ledger_hint: "Received = accepted + duplicates + dead. What was accepted is in the history or archived.", "受信 = 受理 + 重複 + 不達。受理したものは履歴か保管先にあります。";
    period_archived: "Some of that time is archived, which isn't counted by time: look at everything.", "この期間には保管済みのものがあり、期間では数えられません。全期間をご覧ください。";
    unfit: "can't be meant so:", "の指定が正しくありません:";
    at: "As at", "時点:";
}

impl Texts {
    pub fn english() -> &'static Texts {
        &EN
    }
}

/// A language of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    English,
    Japanese,
}

impl Lang {
    pub const fn code(self) -> &'static str {
        match self {
            Lang::English => "en",
            Lang::Japanese => "ja",
        }
    }

    pub fn from_code(code: &str) -> Option<Lang> {
        match code.to_ascii_lowercase().split('-').next() {
            Some("en") => Some(Lang::English),
            Some("ja") => Some(Lang::Japanese),
            _ => None,
        }
    }

    /// The first that somebody wants, by `Accept-Language`.
    pub fn accepted(header: &str) -> Option<Lang> {
        let mut wanted: Vec<(f32, Lang)> = header
            .split(',')
            .filter_map(|part| {
                let (tag, quality) = part.split_once(";q=").unwrap_or((part, "1"));
                let quality: f32 = quality.trim().parse().ok()?;
                Some((quality, Lang::from_code(tag.trim())?)).filter(|(quality, _)| *quality > 0.0)
            })
            .collect();
        // Stable: of two that are wanted alike the first is meant.
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        wanted.first().map(|(_, lang)| *lang)
    }

    pub fn texts(self) -> &'static Texts {
        match self {
            Lang::English => &EN,
            Lang::Japanese => &JA,
        }
    }

    /// A name of the contract as people say it; one without a word is shown as it is.
    pub fn word(self, name: &str) -> &str {
        let word = WORDS.iter().find(|(known, _, _)| *known == name);
        word.map_or(name, |(_, en, ja)| if self == Lang::English { en } else { ja })
    }

    pub fn rule(self, id: &str) -> &'static str {
        let known = RULES.iter().find(|(known, _)| *known == id);
        match (self, known) {
            (Lang::Japanese, Some((_, title))) => title,
            _ => Rule::from_id(id).map_or("", Rule::title),
        }
    }
}

/// Names that the contract gives to states and codes.
const WORDS: &[(&str, &str, &str)] = &[
    ("pending", "pending", "支払い待ち"),
    ("unshipped", "unshipped", "未出荷"),
    ("partially-shipped", "partially shipped", "一部出荷"),
    ("shipped", "shipped", "出荷済み"),
    ("cancelled", "cancelled", "キャンセル"),
    ("authorized", "authorised", "承認済み"),
    ("failed", "failed", "失敗"),
    ("seller", "seller", "販売者"),
    ("marketplace", "marketplace", "マーケットプレイス"),
    ("buyer", "buyer", "購入者"),
    ("nobody", "nobody", "なし"),
    ("open", "open", "未処理"),
    ("replayed", "replayed", "再処理済み"),
    ("discarded", "discarded", "破棄済み"),
    ("running", "running", "実行中"),
    ("paused", "paused", "一時停止中"),
    ("stopped", "stopped", "停止(要確認)"),
    ("done", "done", "完了"),
    ("accepted", "accepted", "受理"),
    ("duplicate", "duplicate", "重複"),
    ("refused", "refused again", "再び拒否"),
    ("required", "required", "要返金"),
    ("issued", "issued", "返金済み"),
    ("withdrawn", "withdrawn", "撤回"),
    ("waiting", "waiting", "待機中"),
    ("eligible", "eligible", "対象"),
    ("claimed", "claimed", "申請済み"),
    ("closed", "closed", "終了"),
    ("orders", "orders", "注文"),
    ("payments", "payments", "支払い"),
    ("shipments", "shipments", "出荷"),
    ("messages", "messages", "メッセージ"),
    ("none", "none", "不明"),
    ("viewer", "viewer", "閲覧"),
    ("operator", "operator", "操作"),
    ("revealer", "revealer", "個人情報"),
    ("replay", "replayed", "再処理"),
    ("discard", "discarded", "破棄"),
    ("reveal", "saw personal data", "個人情報を閲覧"),
    ("not-json", "not JSON", "JSON でない"),
    ("too-large", "too large", "大きすぎる"),
    ("bad-envelope", "bad envelope", "封筒の誤り"),
    ("unknown-type", "unknown type", "未知の種別"),
    ("wrong-stream", "wrong stream", "ストリーム違い"),
    ("schema-violation", "schema violation", "スキーマ違反"),
    ("time-in-future", "time in future", "未来の日時"),
    ("id-collision", "id collision", "ID の衝突"),
    ("case-pruned", "case archived", "保管済みの案件"),
    ("delivery-limit", "delivery limit", "配信回数超過"),
    ("unroutable", "unroutable", "宛先不明"),
    ("expired", "expired", "期限切れ"),
    ("processing-failed", "processing failed", "処理失敗"),
];

/// The rules' titles in Japanese; in English they are the rule book's.
const RULES: &[(&str, &str)] = &[
    ("P1", "承認までは保留"),
    ("P2", "出荷の開始"),
    ("P3", "支払い期限の超過"),
    ("P4", "遅すぎた支払い"),
    ("P5", "一度の失敗では承認は消えない"),
    ("S1", "承認前には出荷しない"),
    ("S2", "キャンセル後には出荷しない"),
    ("S3", "期限内の出荷"),
    ("S4", "注文ごとの出荷通知"),
    ("S5", "同梱発送の案内"),
    ("S6", "同梱発送の送料返金"),
    ("S7", "注文どおりの出荷"),
    ("S8", "荷物の紛失"),
    ("R1", "荷物の返送"),
    ("R2", "配達と返送の矛盾"),
    ("R3", "一部出荷不可"),
    ("R4", "同意あり"),
    ("R5", "同意なし・同意待ち"),
    ("R6", "キャンセル分の返金"),
    ("R7", "返金の実行"),
    ("K1", "変更可能期間内の変更"),
    ("K2", "変更可能期間後の変更"),
    ("K3", "販売者は変更できない"),
    ("K4", "マーケットプレイスによる変更"),
    ("X1", "二重注文"),
    ("X2", "異なる通貨"),
    ("Q1", "どの注文の問い合わせか"),
    ("Q2", "該当注文なし"),
    ("Q3", "他の販売者の注文"),
    ("Q4", "未着"),
    ("Q5", "未着への対応"),
    ("Q6", "金額の内訳"),
    ("Q7", "マーケットプレイスが答えるもの"),
    ("Q8", "注文後の変更"),
    ("M1", "どちらの返信待ちか"),
    ("M2", "返信の遅れ"),
    ("M3", "保証"),
    ("M4", "保証の申請"),
    ("M5", "購入者からの返信なし"),
    ("M6", "メッセージの記録"),
    ("V1", "必要になるまで購入者情報を伏せる"),
    ("V2", "ポイントと支払い番号の除去"),
    ("V3", "ログには ID のみ"),
    ("O1", "注文の照合"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::RejectionCode;

    fn is_japanese(text: &str) -> bool {
        text.chars().any(|c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}'))
    }

    #[test]
    fn every_text_is_there_in_both_languages() {
        for ((name, en), ja) in Texts::NAMES.iter().zip(EN.all()).zip(JA.all()) {
            assert!(!en.is_empty() && !is_japanese(en), "{name}: {en}");
            assert!(is_japanese(ja) || *name == "of", "{name}: {ja}");
        }
    }

    #[test]
    fn every_rule_and_code_has_a_word() {
        for rule in Rule::ALL {
            assert!(is_japanese(Lang::Japanese.rule(rule.id())), "{rule}");
            assert_eq!(Lang::English.rule(rule.id()), rule.title());
        }
        for code in RejectionCode::ALL {
            assert!(is_japanese(Lang::Japanese.word(code.name())), "{}", code.name());
        }
        for (name, en, ja) in WORDS {
            assert!(!en.is_empty() && is_japanese(ja), "{name}");
        }
    }

    #[test]
    fn the_language_is_the_first_that_is_wanted_and_known() {
        assert_eq!(Lang::accepted("ja,en;q=0.8"), Some(Lang::Japanese));
        assert_eq!(Lang::accepted("de-DE, en-GB;q=0.7, ja;q=0.9"), Some(Lang::Japanese));
        assert_eq!(Lang::accepted("fr, ja;q=0"), None);
        assert_eq!(Lang::accepted("*;q=nonsense"), None);
    }
}

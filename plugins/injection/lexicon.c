/* lexicon.c - the words that instructions to a model are made of, in the languages that
 * we know, by what they mean; and which meanings together are a sign.
 *
 * Words are in lower case and, but for scripts without Latin lookalikes, as the plain
 * form of a text shows them: without accents. A star stands for any ending. Classes hold
 * words of all languages at once, so that a sentence which mixes them is read, too; word
 * order differs by language, so rules do not ask for one.
 *
 * SPDX-License-Identifier: MIT
 */
#include "injection.h"

#include <stdlib.h>

static const struct {
	enum word_class class;
	const char *words;
} list[] = {
	/* English */
	{ IGNORE, "ignore ignoring disregard* forget forgetting override* overriding "
		  "bypass* discard "
		  "neglect overlook circumvent*" },
	{ PRIOR, "previous previously prior preceding foregoing earlier initial original "
		 "existing former "
		 "above past" },
	{ ALL, "all any every everything your system" },
	{ RULES, "instruction* instructed rules guideline* directive* directions "
		 "commands orders policies "
		 "constraint* restrictions guidance programming safeguards prompts" },
	{ PROMPT, "prompt prompts systemprompt* preprompt metaprompt" },
	{ NOT, "not don't dont never cannot without" },
	{ FOLLOW, "follow following obey* adhere comply heed" },
	{ NEW, "new updated" },
	{ REVEAL, "reveal* show print output display disclose* expose leak* dump share "
		  "recite tell give write "
		  "quote" },
	{ REPEAT, "repeat echo recite reproduce copy print output" },
	{ SYSTEM, "system hidden secret internal confidential" },
	{ YOUR, "your you've yours" },
	{ ABOVE, "above before preceding beginning" },
	{ TEXT, "everything text words verbatim contents all" },
	{ PRETEND, "pretend* act roleplay* role-play simulate imagine behave become "
		   "respond answer" },
	{ YOU, "you yourself you're" },
	{ FREE,
	    "unrestricted unfiltered uncensored jailbroken jailbreak* unaligned amoral" },
	{ WITHOUT, "no without free any zero" },
	{ LIMITS, "restriction* limitations limits filter filters filtering censorship "
		  "ethics ethical morals "
		  "moral boundaries safeguards guardrails guidelines rules" },
	{ DEVELOPER, "developer debug admin god sudo jailbreak dan" },
	{ MODE, "mode" },
	{ ENABLE, "enable* enter activate* entering switch now unlocked on" },
	{ DO, "do" },
	{ ANYTHING, "anything" },
	{ NOW, "now henceforth" },
	{ AGENT, "ai assistant assistants llm llms chatbot chatbots agent agents copilot "
		 "gpt chatgpt claude gemini "
		 "model" },
	{ MUST, "must should immediately instead attention important please now need" },
	{ ACT, "send forward delete transfer execute run visit email post download "
	       "upload click reply "
	       "recommend exfiltrate fetch mail append include hire approve" },
	{ DECODE, "decode decrypt base64 base-64 rot13 unscramble decipher" },
	/* German */
	{ IGNORE, "ignorier* vergiss vergesst vergessen missacht* uberschreib* umgeh*" },
	{ PRIOR, "vorherig* vorige* bisherig* vorangegangen* vorangehend* obig* fruher* "
		 "ursprunglich*" },
	{ ALL, "alle alles deine deiner ihre" },
	{ RULES, "anweisung* instruktion* regeln vorgaben befehle richtlinien" },
	{ NOT, "nicht keine keinen niemals" },
	{ FOLLOW, "befolg* beachte* folge" },
	{ NEW, "neue neuen" },
	{ REVEAL, "zeig zeige verrat* nenne nenn offenbar* gib schreib schreibe" },
	{ REPEAT, "wiederhol*" },
	{ SYSTEM, "systemanweisung* geheimen geheime internen interne" },
	{ YOUR, "deine deinen deinem dein ihre ihren" },
	{ YOU, "du" },
	{ FREE, "uneingeschrankt* ungefiltert* unzensiert*" },
	{ WITHOUT, "ohne keine keinerlei" },
	{ LIMITS, "einschrankung* beschrankung* filter grenzen regeln" },
	/* French */
	{ IGNORE, "ignorez ignorer oublie oubliez oublier contourne*" },
	{ PRIOR, "precedent* anterieur* initiales" },
	{ ALL, "tous toutes toute tout vos votre tes" },
	{ RULES, "instructions consignes consigne regles directives ordres" },
	{ NOT, "ne pas jamais" },
	{ FOLLOW, "suis suivre suivez respecte respectez" },
	{ NEW, "nouvelle nouvelles nouveau" },
	{ REVEAL, "montre* affiche* revele* donne donnez ecris" },
	{ REPEAT, "repete*" },
	{ SYSTEM, "systeme secrete secretes internes cachees" },
	{ YOUR, "ton ta tes votre vos" },
	{ YOU, "tu vous" },
	{ WITHOUT, "sans aucune aucun" },
	{ LIMITS, "limites limite filtre filtres censure regles" },
	/* Spanish, Portuguese, Italian */
	{ IGNORE, "ignora ignoren olvida olvide olviden omite omita desconsider* esqueca "
		  "esqueca* esquece "
		  "dimentica dimenticate ignorate scorda tralascia ignorar" },
	{ PRIOR, "anterior anteriores previas previa previos precedenti precedente" },
	{ ALL, "todas todos todo toda tus sus tutte tutti tutto tue suas seus" },
	{ RULES, "instrucciones instruccion reglas ordenes indicaciones directrices "
		 "instrucoes regras "
		 "ordens diretrizes istruzioni regole direttive ordini" },
	{ FOLLOW, "sigue sigas seguir siga segui seguire" },
	{ NEW, "nuevas nuevos novas nuove" },
	{ REVEAL, "muestra muestrame revela revelame imprime dime mostra mostrami rivela "
		  "stampa mostre revele "
		  "diga mostrar" },
	{ REPEAT, "repite repita ripeti" },
	{ SYSTEM, "sistema secretas ocultas segrete nascoste" },
	{ YOUR, "tu tus tuo tuoi tue seu seus suas" },
	{ FREE, "irrestricto senza-limiti" },
	{ WITHOUT, "sin senza sem ninguna nessuna" },
	{ LIMITS, "restricciones limites restricoes limitazioni restrizioni filtros "
		  "filtri reglas" },
	/* Dutch, Polish, Turkish, Swedish */
	{ IGNORE, "negeer negeren vergeet zignoruj ignoruj zapomnij yoksay unut "
		  "gormezden ignorera glom" },
	{ PRIOR, "eerdere voorgaande bovenstaande poprzedni* wczesniejsz* onceki "
		 "tidigare foregaende" },
	{ ALL, "wszystkie wszystkich tum butun alla" },
	{ RULES, "instructies regels opdrachten instrukcj* polecenia polecen zasady "
		 "talimat* kurallari "
		 "instruktioner regler" },
	{ REVEAL, "toon onthul pokaz ujawnij goster visa avsloja" },
	{ YOUR, "je jouw twoje twoj dina din" },
	/* Russian and Ukrainian: as written */
	{ IGNORE,
	    "игнорируй* игнорировать проигнорируй* забудь* забудьте ігноруй* забудь" },
	{ PRIOR, "предыдущ* прежние прежних ранее выше попередн*" },
	{ ALL, "все всё всех ваши твои свои усі всі" },
	{ RULES, "инструкц* указани* правила правил команды інструкц* вказівк*" },
	{ NOT, "не никогда" },
	{ NEW, "новые новая новых" },
	{ REVEAL, "покажи* раскрой* выведи* напиши* скажи" },
	{ REPEAT, "повтори*" },
	{ PROMPT, "промпт* промт*" },
	{ SYSTEM, "системн* скрыт* секретн*" },
	{ YOUR, "твой твои твою свой свои ваш ваши" },
	{ YOU, "ты вы" },
	{ WITHOUT, "без" },
	{ LIMITS, "ограничений фильтров цензуры" },
	/* Chinese */
	{ IGNORE, "忽略 无视 無視 忽视 忽視 忘记 忘記 忘掉 不要理会 不理会" },
	{ PRIOR, "之前 以前 上面 先前 以上 前面 上述 此前 原来" },
	{ ALL, "所有 全部 一切 你的 任何" },
	{ RULES, "指令 指示 规则 規則 命令 要求 限制 设定" },
	{ PROMPT, "提示词 提示詞 提示 提示语" },
	{ REVEAL, "显示 顯示 告诉 告訴 输出 輸出 透露 打印 展示 泄露 说出" },
	{ REPEAT, "重复 重複 复述" },
	{ SYSTEM, "系统 系統 内部 隐藏 秘密" },
	{ YOUR, "你的 您的" },
	{ YOU, "你 您" },
	{ WITHOUT, "没有 沒有 不受 无" },
	{ LIMITS, "限制 约束 審查 审查 过滤" },
	/* Japanese */
	{ IGNORE, "無視し 忘れて 忘れろ" },
	{ PRIOR, "これまで 上記 前の 以前の" },
	{ ALL, "すべて 全て あなたの" },
	{ RULES, "ルール 命令 制約" },
	{ PROMPT, "プロンプト" },
	{ REVEAL, "見せて 表示し 教えて 出力し 開示" },
	{ SYSTEM, "システム" },
	{ YOUR, "あなたの" },
	/* Korean */
	{ IGNORE, "무시 잊어 잊으" },
	{ PRIOR, "이전 위의 앞의 기존" },
	{ ALL, "모든 당신의 너의" },
	{ RULES, "지시 지침 명령 규칙" },
	{ PROMPT, "프롬프트" },
	{ REVEAL, "보여 알려 출력 공개 말해" },
	{ SYSTEM, "시스템" },
	{ YOUR, "당신의 너의 네" },
	/* Arabic, Hindi */
	{ IGNORE, "تجاهل تجاهلي انس" },
	{ PRIOR, "السابقة السابقه سابقة" },
	{ RULES, "التعليمات تعليمات الاوامر الأوامر القواعد" },
	{ ALL, "جميع كل" },
	{ IGNORE, "अनदेखा नजरअंदाज नज़रअंदाज़ भूल" },
	{ PRIOR, "पिछले पिछली पूर्व" },
	{ RULES, "निर्देश* निर्देशों नियम नियमों" },
};

const struct rule rules[] = {
	{ OVERRIDE, 8, { CLASS(IGNORE), CLASS(PRIOR), CLASS(RULES) | CLASS(PROMPT) },
	    CLASS(NOT) },
	{ OVERRIDE, 8,
	    { CLASS(NOT), CLASS(FOLLOW), CLASS(PRIOR), CLASS(RULES) | CLASS(PROMPT) },
	    0 },
	{ OVERRIDE_LOOSE, 5,
	    { CLASS(IGNORE), CLASS(ALL) | CLASS(YOUR), CLASS(RULES) | CLASS(PROMPT) },
	    CLASS(NOT) },
	{ OVERRIDE_WEAK, 4, { CLASS(IGNORE), CLASS(ABOVE) }, CLASS(NOT) },
	{ OVERRIDE_LOOSE, 6, { CLASS(IGNORE), CLASS(ALL), CLASS(ABOVE) }, CLASS(NOT) },
	{ SPOOF_LOOSE, 5, { CLASS(NEW), CLASS(RULES), CLASS(YOUR) | CLASS(SYSTEM) }, 0 },
	{ LEAK, 8,
	    { CLASS(REVEAL) | CLASS(REPEAT), CLASS(SYSTEM) | CLASS(YOUR), CLASS(PROMPT) },
	    CLASS(NOT) },
	{ LEAK_LOOSE, 6,
	    { CLASS(REVEAL) | CLASS(REPEAT), CLASS(SYSTEM) | CLASS(YOUR), CLASS(RULES) },
	    CLASS(NOT) },
	{ LEAK, 7, { CLASS(REPEAT), CLASS(TEXT), CLASS(ABOVE) }, CLASS(NOT) },
	{ PERSONA, 14,
	    { CLASS(PRETEND) | CLASS(NOW) | CLASS(MODE), CLASS(YOU), CLASS(FREE) }, 0 },
	{ PERSONA, 12, { CLASS(PRETEND), CLASS(YOU), CLASS(WITHOUT), CLASS(LIMITS) }, 0 },
	{ PERSONA, 9,
	    { CLASS(DEVELOPER), CLASS(MODE), CLASS(ENABLE),
		CLASS(PRETEND) | CLASS(AGENT) },
	    0 },
	{ PERSONA, 3, { CLASS(DO), CLASS(ANYTHING), CLASS(NOW) }, 0 },
	{ ENCODED_LOOSE, 4, { CLASS(DECODE), CLASS(FOLLOW) | CLASS(ACT) }, 0 },
	{ ADDRESSED, 14, { CLASS(AGENT), CLASS(MUST), CLASS(YOU) }, 0 },
	{ ADDRESSED, 14, { CLASS(AGENT), CLASS(MUST), CLASS(ACT) }, 0 },
};
const size_t rule_count = sizeof(rules) / sizeof(rules[0]);

/* ---- a tree of bytes ---- */

struct node {
	uint32_t child, sibling;
	classes whole,
	    prefix; /* of a word that ends here; of one that goes on as it likes */
	uint8_t byte;
};

struct lexicon {
	struct node *node;
	uint32_t count, room;
	uint32_t root[256];
};

static uint32_t
find_child(const struct lexicon *l, uint32_t at, uint8_t byte)
{
	if (at == 0)
		return l->root[byte];
	for (at = l->node[at].child; at != 0 && l->node[at].byte != byte;)
		at = l->node[at].sibling;
	return at;
}

static uint32_t
make_child(struct lexicon *l, uint32_t at, uint8_t byte)
{
	uint32_t child = find_child(l, at, byte);

	if (child != 0)
		return child;
	if (l->count == l->room) {
		struct node *p = realloc(l->node, 2u * l->room * sizeof(*p));

		if (p == NULL)
			return 0;
		l->node = p;
		l->room *= 2;
	}
	child = l->count++;
	l->node[child] = (struct node){ .byte = byte };
	if (at == 0) {
		l->root[byte] = child;
	} else {
		l->node[child].sibling = l->node[at].child;
		l->node[at].child = child;
	}
	return child;
}

static bool
add_words(struct lexicon *l, enum word_class class, const char *words)
{
	uint32_t at = 0;

	for (;; words++) {
		if (*words == ' ' || *words == '\0') {
			l->node[at].whole |= CLASS(class);
			at = 0;
			if (*words == '\0')
				return true;
		} else if (*words == '*') {
			l->node[at].prefix |= CLASS(class);
		} else {
			at = make_child(l, at, (uint8_t)*words);
			if (at == 0)
				return false;
		}
	}
}

struct lexicon *
lexicon_new(void)
{
	struct lexicon *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->room = 4096;
	l->count = 1;
	l->node = calloc(l->room, sizeof(*l->node));
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		if (l->node == NULL || !add_words(l, list[i].class, list[i].words)) {
			lexicon_free(l);
			return NULL;
		}
	}
	return l;
}

void
lexicon_free(struct lexicon *l)
{
	if (l == NULL)
		return;
	free(l->node);
	free(l);
}

classes
lexicon_word(const struct lexicon *l, int (*next)(void *arg), void *arg)
{
	classes prefix = 0;
	uint32_t at = 0;
	int byte;

	while ((byte = next(arg)) >= 0) {
		at = find_child(l, at, (uint8_t)byte);
		if (at == 0)
			return prefix;
		prefix |= l->node[at].prefix;
	}
	return at == 0 ? 0 : prefix | l->node[at].whole;
}

classes
lexicon_prefix(const struct lexicon *l, const char *p, const char *end, size_t *len)
{
	const char *start = p;
	classes found = 0;
	uint32_t at = 0;

	*len = 0;
	while (p < end && (at = find_child(l, at, (uint8_t)*p)) != 0) {
		p++;
		if (l->node[at].whole != 0) {
			found = l->node[at].whole;
			*len = (size_t)(p - start);
		}
	}
	return found;
}

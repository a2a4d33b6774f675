// Answers that begin as refusals do. The lists are ours, in the form of normalised_words(): first what people say
// before they refuse, which is passed over, then beginnings of refusals themselves. "I'm sorry to hear that" is none,
// nor is an answer that explains what cannot be done further down.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "distil/filter.h"
#include "text/words.h"

namespace fieldprint::distil {
namespace {

// clang-format off
constexpr std::string_view kBefore[] = {
    "i m sorry", "i am sorry", "sorry", "i m really sorry", "i m very sorry", "i apologize", "i apologise",
    "my apologies", "apologies", "unfortunately", "i m afraid", "i am afraid", "i regret to say", "i understand",
    "thank you for asking", "but", "that", "however", "as an ai language model", "as an ai assistant", "as an ai",
    "as a language model", "as a large language model", "as an artificial intelligence",
    // German
    "es tut mir leid", "tut mir leid", "tut mir sehr leid", "entschuldigung", "leider", "aber", "dass", "als ki",
    "als ki modell", "als sprachmodell", "als ki sprachmodell",
    // French
    "je suis désolé", "je suis désolée", "désolé", "désolée", "malheureusement", "mais", "en tant qu ia",
    "en tant que modèle de langage", "en tant qu intelligence artificielle", "je regrette",
    // Spanish
    "lo siento", "lo siento mucho", "lo lamento", "disculpa", "disculpe", "desafortunadamente", "lamentablemente",
    "pero", "como ia", "como modelo de lenguaje", "como inteligencia artificial",
    // Portuguese
    "desculpe", "desculpa", "sinto muito", "lamento", "infelizmente", "mas", "como modelo de linguagem",
    "como um modelo de linguagem", "como uma ia",
    // Italian
    "mi dispiace", "mi spiace", "purtroppo", "ma", "come modello linguistico", "come ia",
    // Dutch
    "het spijt me", "sorry maar", "helaas", "maar", "als taalmodel", "als ai taalmodel",
    // Polish
    "przepraszam", "niestety", "przykro mi", "ale", "jako model językowy",
    // Russian, Ukrainian
    "извините", "простите", "к сожалению", "прошу прощения", "но", "как языковая модель", "вибачте", "на жаль", "але",
    // Turkish
    "üzgünüm", "maalesef", "ne yazık ki", "ancak", "ama",
};

constexpr std::string_view kRefusals[] = {
    "i can t help", "i cannot help", "i can not help", "i can t assist", "i cannot assist", "i can t provide",
    "i cannot provide", "i can t fulfill", "i cannot fulfill", "i can t comply", "i cannot comply", "i can t create",
    "i cannot create", "i can t generate", "i cannot generate", "i can t answer", "i cannot answer",
    "i can t discuss", "i cannot discuss", "i can t engage", "i cannot engage", "i can t do that", "i cannot do that",
    "i can t support", "i cannot support", "i can t write", "i cannot write", "i can t offer", "i cannot offer",
    "i can t continue with", "i cannot continue with", "i m unable to", "i am unable to", "i m not able to",
    "i am not able to", "i won t be able to", "i won t provide", "i won t help", "i won t assist",
    "i will not provide", "i will not help", "i will not assist", "i must decline", "i have to decline",
    "i decline to", "i must refuse", "i refuse to", "i m not comfortable", "i am not comfortable",
    "i do not feel comfortable", "i don t feel comfortable", "i m not programmed to", "i am not programmed to",
    "i m not allowed to", "i am not allowed to", "i m not permitted to", "i am not permitted to",
    "i don t have the ability to", "i do not have the ability to", "i don t have the capability",
    "i do not have the capability", "it is not appropriate for me", "it s not appropriate for me",
    "it would not be appropriate", "it wouldn t be appropriate", "this request goes against", "this goes against my",
    "that goes against my", "we can t help", "we cannot help", "we can t assist", "we cannot assist",
    "no i can t help", "no i cannot help", "can t help with that", "cannot help with that",
    // German
    "ich kann ihnen dabei nicht", "ich kann dir dabei nicht", "ich kann dabei nicht", "ich kann ihnen nicht",
    "ich kann dir nicht", "ich kann ihnen leider nicht", "ich kann dir leider nicht", "ich kann diese anfrage nicht",
    "ich kann das nicht", "ich kann leider nicht", "ich kann darauf nicht", "ich bin nicht in der lage",
    "kann ich ihnen nicht", "kann ich dir nicht", "kann ich ihnen dabei nicht", "kann ich dir dabei nicht",
    "kann ich das nicht", "kann ich dabei nicht", "bin ich nicht in der lage",
    // French
    "je ne peux pas", "je ne peux malheureusement pas", "je ne suis pas en mesure", "je ne suis pas capable",
    "je suis dans l impossibilité", "je refuse",
    // Spanish
    "no puedo ayudar", "no puedo proporcionar", "no puedo cumplir", "no puedo responder", "no puedo hacer eso",
    "no puedo asistir", "no puedo generar", "no puedo crear", "no puedo ofrecer", "no puedo escribir",
    "no me es posible", "no estoy en condiciones", "no soy capaz de", "me niego a",
    // Portuguese
    "não posso ajudar", "não posso fornecer", "não posso atender", "não posso responder", "não posso fazer isso",
    "não posso gerar", "não posso criar", "não posso auxiliar", "não consigo ajudar", "não sou capaz de",
    "recuso me a",
    // Italian
    "non posso aiutar", "non posso fornire", "non posso rispondere", "non posso soddisfare", "non posso farlo",
    "non posso generare", "non posso creare", "non sono in grado di",
    // Dutch
    "ik kan je daar niet", "ik kan u daar niet", "ik kan je hier niet", "ik kan u hier niet", "ik kan je niet",
    "ik kan u niet", "ik kan dit niet", "ik kan dat niet", "ik kan hier niet", "ik kan daar niet",
    "ik ben niet in staat", "kan ik je niet", "kan ik u niet", "kan ik hier niet", "kan ik daar niet",
    // Polish
    "nie mogę pomóc", "nie mogę odpowiedzieć", "nie mogę tego", "nie mogę spełnić", "nie jestem w stanie",
    // Russian, Ukrainian
    "я не могу помочь", "я не могу ответить", "я не могу предоставить", "я не могу выполнить", "не могу помочь",
    "я не в состоянии", "я не буду", "я не можу допомогти", "не можу допомогти", "я не можу надати",
    // Turkish
    "bu konuda yardımcı olamam", "bu isteği yerine getiremem", "size yardımcı olamam", "sana yardımcı olamam",
    "yardımcı olamıyorum", "bu konuda size yardımcı olamam",
    // Chinese, Japanese, Korean, Arabic, Hindi: whole beginnings
    "抱 歉 我 无 法", "抱 歉 我 不 能", "对 不 起 我 不 能", "对 不 起 我 无 法", "很 抱 歉 我 无 法", "很 抱 歉 我 不 能", "我 无 法 提 供", "我 无 法 协 助",
    "我 不 能 提 供", "我 无 法 回 答", "非 常 抱 歉 我 无 法", "申 し 訳 あ り ま せ ん が", "申 し 訳 ご ざ い ま せ ん が", "お 手 伝 い で き ま せ ん",
    "お 答 え で き ま せ ん", "죄송하지만", "죄송합니다만", "도와드릴 수 없", "عذرا لا أستطيع", "عذرًا لا أستطيع", "عذراً لا أستطيع",
    "عذرًا لا يمكنني", "عذرا لا يمكنني", "آسف لا أستطيع", "لا أستطيع مساعدتك", "لا يمكنني مساعدتك", "क्षमा करें मैं",
    "मुझे खेद है लेकिन मैं",
};
// clang-format on

constexpr size_t kWords = 40;  // of an answer that are looked at

// Whole words of `text`, except that the last of `beginning` may be the beginning of a word: verbs have endings.
bool begins(std::string_view text, std::string_view beginning, bool whole) {
  if (!text.starts_with(beginning)) return false;
  return !whole || text.size() == beginning.size() || text[beginning.size()] == ' ';
}

// The beginning that refuses; "" = there is none.
std::string_view refusal(std::string_view answer) {
  // Words of the first characters do: an answer may have a million.
  auto words = normalised_words(answer.substr(0, std::min<size_t>(answer.size(), 1000)));
  if (words.size() > kWords) words.resize(kWords);
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : " ") + word;
  std::string_view rest = joined;
  for (bool again = true; again;) {
    for (const std::string_view refused : kRefusals)
      if (begins(rest, refused, false)) return refused;
    again = false;
    for (const std::string_view before : kBefore) {
      if (!begins(rest, before, true)) continue;
      rest.remove_prefix(std::min(rest.size(), before.size() + 1));
      again = true;
      break;
    }
  }
  return {};
}

}  // namespace

Setting filter_refusal(FilterRun& run) {
  run.each([](const FilterRow& r) -> std::optional<Reason> {
    const std::string_view found = refusal(r.row.content);
    if (found.empty()) return std::nullopt;
    return Reason{"refuses", std::string(found)};
  });
  return fmt::format("{} beginnings in 15 languages", std::size(kRefusals));
}

}  // namespace fieldprint::distil

#include "eval/instructions/language.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "eval/instructions/words.h"
#include "jinja/unicode.h"

namespace fieldprint {
namespace {

enum class Script {
  kLatin, kCyrillic, kArabic, kDevanagari, kHan, kKana, kHangul, kThai, kHebrew, kBengali, kGurmukhi, kGujarati, kTamil,
  kTelugu, kKannada, kMalayalam, kGreek, kCount,
};

struct Block {
  uint32_t first, last;
  Script script;
};

constexpr Block kBlocks[] = {
    {'A', 'Z', Script::kLatin},           {'a', 'z', Script::kLatin},          {0xC0, 0x24F, Script::kLatin},
    {0x370, 0x3FF, Script::kGreek},       {0x400, 0x52F, Script::kCyrillic},   {0x590, 0x5FF, Script::kHebrew},
    {0x600, 0x6FF, Script::kArabic},      {0x750, 0x77F, Script::kArabic},     {0x900, 0x97F, Script::kDevanagari},
    {0x980, 0x9FF, Script::kBengali},     {0xA00, 0xA7F, Script::kGurmukhi},   {0xA80, 0xAFF, Script::kGujarati},
    {0xB80, 0xBFF, Script::kTamil},       {0xC00, 0xC7F, Script::kTelugu},     {0xC80, 0xCFF, Script::kKannada},
    {0xD00, 0xD7F, Script::kMalayalam},   {0xE00, 0xE7F, Script::kThai},       {0x1100, 0x11FF, Script::kHangul},
    {0x1E00, 0x1EFF, Script::kLatin},     {0x3040, 0x30FF, Script::kKana},     {0x3400, 0x9FFF, Script::kHan},
    {0xAC00, 0xD7AF, Script::kHangul},    {0xFB50, 0xFDFF, Script::kArabic},   {0x20000, 0x2FFFF, Script::kHan},
};

// Of a script with one language here: its code.
std::string_view only_language(Script script) {
  switch (script) {
    case Script::kHangul: return "ko";
    case Script::kThai: return "th";
    case Script::kHebrew: return "he";
    case Script::kBengali: return "bn";
    case Script::kGurmukhi: return "pa";
    case Script::kGujarati: return "gu";
    case Script::kTamil: return "ta";
    case Script::kTelugu: return "te";
    case Script::kKannada: return "kn";
    case Script::kMalayalam: return "ml";
    case Script::kGreek: return "el";
    default: return "";
  }
}

// What tells a language from others of its script. A word counts 4, a letter of its own 2.
struct Profile {
  std::string_view code;
  Script script;
  WordSet words;
  WordSet letters;
};

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> all = [] {
    std::vector<Profile> list;
    const auto add = [&](std::string_view code, Script script, std::string_view words, std::string_view letters) {
      list.push_back({code, script, WordSet(words), WordSet(letters)});
    };
    add("en", Script::kLatin,
        "the of and to in is that for it with as was on are be this by you have not at from or an they which we can "
        "your will their has been would there what when who if about into than its my but all he she i do how our more",
        "");
    add("es", Script::kLatin,
        "el la de que y en los se del las un por con una su para es al lo como más pero sus le ha sí sobre este ya "
        "entre cuando muy sin también me hay donde son está esta desde todo nos ser puede yo tu mi eso porque",
        "ñ ¿ ¡");
    add("pt", Script::kLatin,
        "o a de que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das à seu sua ou "
        "quando muito nos já eu também só pelo pela até isso ela entre depois sem mesmo são você está ter meu nas",
        "ã õ");
    add("fr", Script::kLatin,
        "le de la les et des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont la avec aux d l "
        "son mais comme ou vous nous je elle cette ces être tout leur bien fait très même aussi c'est où votre mon",
        "œ ç");
    add("de", Script::kLatin,
        "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat "
        "dass sie nach wird bei einer um am sind noch wie einem über einen so zum haben nur oder ich wir aber kann ihr",
        "ß");
    add("it", Script::kLatin,
        "di e il la che in a per un è non una del si con da dei le della i al sono come nel più lo ma alla gli ha "
        "anche delle questo se nella dal mi ci o io ed essere suo tutto quando molto perché ogni degli tra fare cosa",
        "");
    add("pl", Script::kLatin,
        "i w na z do się nie to że jest o od za jak po przez co tak ale dla czy są tym ich tego może jego być tylko "
        "oraz już był która który które będzie bardzo przy ma jako także nad lub mi ty ja nas gdy kiedy można",
        "ł ą ę ś ż ź ć ń");
    add("vi", Script::kLatin,
        "và của là có các được cho một không trong với những người đã này để khi đó từ như nhiều đến về cũng sẽ tôi "
        "bạn ở ra rất nó vì thì mà lại hay còn trên hơn phải làm việc",
        "đ ơ ư ạ ả ấ ầ ẩ ẫ ậ ắ ằ ẳ ẵ ặ ẹ ẻ ẽ ế ề ể ễ ệ ỉ ị ọ ỏ ố ồ ổ ỗ ộ ớ ờ ở ỡ ợ ụ ủ ứ ừ ử ữ ự ỳ ỷ ỹ");
    add("sw", Script::kLatin,
        "na ya wa kwa ni katika la za cha kama hii hiyo huo yake kuwa watu lakini au pia sana mimi wewe yeye sisi wao "
        "ambayo ambao vya ili bila baada kabla kila moja wote zaidi hivyo hapa kwamba yetu yao hili mtu nchi",
        "");
    add("fi", Script::kLatin,
        "ja on ei se että oli hän mutta ovat myös kuin tai joka sen ole kun jos mitä niin vain sekä minä sinä voi "
        "hyvin mukaan olla nyt tämä tässä ne jotka kanssa siitä vielä jo minun olen paljon hänen kaikki",
        "");
    add("nl", Script::kLatin,
        "de het een en van ik te dat die in je niet zijn is op aan met voor er maar om hem dan zou wat mijn men dit zo "
        "door over ze bij ook tot uit naar heb hoe heeft hebben worden wordt deze nog veel meer kan geen",
        "");
    add("sv", Script::kLatin,
        "och i att det som en på är av för med den till inte har de ett om var jag men så sig vi kan från eller när "
        "under efter också mycket alla skulle då nu han hon du detta",
        "");
    add("da", Script::kLatin,
        "og i at det er en til af på for med den de ikke som har et der jeg var fra men om så vi kan eller også når "
        "efter blev meget noget være hvor han hun du sig skal",
        "ø æ");
    add("ro", Script::kLatin,
        "și de în a la cu pe nu este care un o că din mai pentru să se sunt fi au ce dar prin sau după fost lui acest "
        "foarte când eu noi poate toate ei",
        "ș ț ă ş ţ");
    add("tr", Script::kLatin,
        "ve bir bu da de için ile çok olarak daha ne gibi olan var ama en kadar sonra her ben sen o değil mi ki ya "
        "olduğu içinde şey bana benim",
        "ğ ı ş");
    add("id", Script::kLatin,
        "yang dan di untuk dengan dari ini pada tidak adalah itu dalam akan ke oleh atau juga saya kita anda bisa "
        "karena ada mereka lebih telah sebagai sudah dapat kami",
        "");
    add("cs", Script::kLatin,
        "a se v na je že o s z do i to k ve pro za by ale si po jako od jsem jsou byl tak které nebo jeho pak když "
        "být už který můj také",
        "ř ě ů");
    add("hu", Script::kLatin,
        "a az és hogy nem is egy van ez meg de csak mint volt ki el már még vagy lehet minden azt nagyon én te mi ha "
        "akkor lesz kell ami",
        "ő ű");
    add("ru", Script::kCyrillic,
        "и в не на что я с он как это по но из у за то все так его она бы же вы мы для ты к от о если или уже ещё "
        "когда только был есть очень может их при были можно",
        "ы э ё");
    add("uk", Script::kCyrillic,
        "і в не на що я з він як це та до але у за то все так його вона ви ми для ти від або є про якщо вже ще коли "
        "тільки був дуже може їх при були можна й який",
        "і ї є ґ");
    add("bg", Script::kCyrillic,
        "и в не на че аз с той как това по но от за то се да са е си ще ги го ли му тя вие ние или като който която "
        "които много при беше бяха може със във един една",
        "ъ");
    add("ar", Script::kArabic,
        "من في على إلى أن هذا التي هذه عن مع كان ما لا هو هي الذي كل أو و قد لم ذلك بين بعد أنا يمكن كما إن حيث ثم",
        "ة ى ي ك أ إ");
    add("fa", Script::kArabic,
        "و در به از که این را با است برای آن یک تا هم بر خود می ها شد اما هر شما من ما او بود باید یا نیز کرد دارد",
        "پ چ ژ گ");
    add("ur", Script::kArabic,
        "کے میں کی ہے اور سے کا کو اس نے پر یہ کہ ہیں ایک بھی تھا ہو آپ کر وہ ہم لیے جو تو تھے نہیں گیا ہوتا",
        "ٹ ڈ ڑ ں ے ہ ھ");
    add("hi", Script::kDevanagari,
        "है के में की और से का को पर यह हैं एक भी कि ने नहीं था हो इस लिए कर तो जो आप अपने वह हम मैं या साथ गया रहा", "");
    add("mr", Script::kDevanagari,
        "आहे आणि या व ते हे तो ती की आहेत मध्ये त्या एक होते होता साठी नाही मी तुम्ही आपण केले म्हणून पण असे करून काही हा ही",
        "ळ");
    add("ne", Script::kDevanagari,
        "छ र को मा यो छन् हो पनि गर्न गरेको भएको लागि ले त्यो हुन्छ तपाईं म हामी थियो एक भने तर गर्नुहोस् गर्छ हुन् यस तपाईंको", "");
    return list;
  }();
  return all;
}

// The profile of this script that most of the text speaks for; `usual` where nothing does.
std::string_view by_words(std::string_view lower, Script script, std::string_view usual) {
  std::vector<std::pair<const Profile*, size_t>> scores;
  for (const Profile& profile : profiles())
    if (profile.script == script) scores.emplace_back(&profile, 0);
  const auto count = [&](std::string_view word) {
    for (auto& [profile, score] : scores) score += profile->words.contains(word) ? 4 : 0;
  };
  size_t begin = 0;
  const auto in_word = [](uint32_t c) {  // marks too: vowels of Indian scripts
    return jinja::is_word(c) || c == '\'' || (c >= 0x300 && c <= 0x36F) || (c >= 0x900 && c <= 0xDFF);
  };
  for (size_t at = 0; at < lower.size();) {
    const size_t here = at;
    const uint32_t c = jinja::decode_at(lower, at);
    const std::string_view letter = lower.substr(here, at - here);
    if (c >= 128) {
      for (auto& [profile, score] : scores) score += profile->letters.contains(letter) ? 2 : 0;
    }
    if (in_word(c)) continue;
    if (here > begin) count(lower.substr(begin, here - begin));
    begin = at;
  }
  if (begin < lower.size()) count(lower.substr(begin));
  const auto best =
      std::max_element(scores.begin(), scores.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return best == scores.end() || best->second == 0 ? usual : best->first->code;
}

}  // namespace

std::string_view detect_language(std::string_view text) {
  std::array<size_t, static_cast<size_t>(Script::kCount)> letters{};
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = jinja::decode_at(text, at);
    for (const Block& block : kBlocks)
      if (c >= block.first && c <= block.last) ++letters[static_cast<size_t>(block.script)];
  }
  // A Han character is about a word, so it weighs more than a letter does.
  letters[static_cast<size_t>(Script::kHan)] *= 2;
  const auto most = std::max_element(letters.begin(), letters.end());
  if (*most == 0) return "";
  const auto script = static_cast<Script>(most - letters.begin());
  const size_t kana = letters[static_cast<size_t>(Script::kKana)];
  switch (script) {
    case Script::kKana:
      return "ja";
    case Script::kHan:  // Japanese is hardly ever without kana
      return kana * 10 > letters[static_cast<size_t>(Script::kHan)] ? "ja" : "zh-cn";
    case Script::kLatin:
      return by_words(jinja::to_lower(text), script, "en");
    case Script::kCyrillic:
      return by_words(jinja::to_lower(text), script, "ru");
    case Script::kArabic:
      return by_words(text, script, "ar");
    case Script::kDevanagari:
      return by_words(text, script, "hi");
    default:
      return only_language(script);
  }
}

}  // namespace fieldprint

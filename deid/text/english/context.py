"""Words around a run of capitals that say what it names."""

import re
from typing import Final

from deid.text.english.letters import LETTER

_HEAD: Final = rf"(?<![{LETTER}0-9])"
_RELATION: Final = (
    "husband|wife|son|daughter|mother|father|mom|dad|mum|brother|sister|partner|boyfriend|girlfriend|friend|fianc[eé]e?|spouse"
    "|child|kid|baby|grandson|granddaughter|grandmother|grandfather|nephew|niece|cousin|aunt|uncle|neighbou?r|roommate"
    "|colleague|co-?worker|boss|guardian|care ?giver|care ?taker|manager|assistant|secretary|landlord|teacher|student"
)
_STAFF: Final = (
    "patient|pt|client|physician|surgeon|provider|therapist|psychiatrist|psychologist|cardiologist|oncologist|neurologist"
    "|dermatologist|pediatrician|paediatrician|anesthesiologist|radiologist|pathologist|consultant|resident|intern|fellow"
    "|attending|midwife|pharmacist|dentist|nurse|technician|social worker|counselor|specialist|officer|detective|author"
    "|director|singer|songwriter|actor|actress|artist|player|founder|ceo|president|president-elect|candidate|professor|reporter"
)

NAMING: Final = re.compile(
    rf"{_HEAD}(?:(?:names?|surname|nickname)(?: ?(?:is|was|:|=|-|to|of))?|names are|named(?: (?:him|her|it|them|after|as))?"
    r"|called(?: (?:him|her|them))?|calls? me|know me as|known as|goes by|aka|a\.k\.a\.|alias|i am|i'm|i’m|this is|it's me,?"
    r"|signed(?: by)?:?|signature:?|yours(?: truly| sincerely| faithfully)?,?|sincerely(?: yours)?,?|(?:best |kind |warm )?regards,?"
    r"|cheers,?|dear|attn\.?:?|attention:|cc:|re:|c/o|dictated by:?|(?:emergency )?contact(?: person)?:|next of kin:?"
    rf"|(?:{_RELATION}|{_STAFF})(?:'s name)?(?: is| was|:|,)?|behalf of|in the name of|under the name(?: of)?)[ \n]{{0,2}}\Z"
)
"""A person's name follows; ``I am`` may precede other things, which the word lists tell."""

PERSONAL: Final = re.compile(
    rf"{_HEAD}(?:by|with|said|told|asked|asks?|met|meet|thanks?,?|thank you,?|hi,?|hello,?|hey,?|under|heard|add|added|adding|remove|removed"
    r"|invite|invited|call|called|text|email|emailed|contacted|contact|saw|seen|see|love|miss|starring|featuring|tell|help|helped"
    r"|ask|let|why (?:is|was|does|did|do)|where (?:is|was|does|did)|how (?:is|was|does|did)|who is|who's|is|does|did|has|when|that"
    r"|because|while|like|early|late|young|old|poor|little|user|for|to|and|or|of|about|from:|to:)[ \n]{1,2}[\"“‘(]?\Z"
)
"""A person's name may follow, and mostly does where the word is none that is listed."""

ACTS: Final = re.compile(
    r"(?:'s|’s)?,? ?(?:said|says|told|asked|replied|wrote|writes|thinks|thought|lives|lived|works|worked|went|came|called|calls"
    r"|is|was|has|had|will|would|can|could|does|did|wants|wanted|needs|needed|likes|loves|loved|moved|married|died|born|reports|reported"
    r"|complains|complained|denies|denied|presented|presents|states|stated|arrived|left|returned|seems|feels|felt|spent|gave|took"
    r"|and i|and his|and her|may i|please|who|listed|played|plays|sings|sang|directed|points)(?![a-z])"
)

IN_PLACE: Final = re.compile(
    rf"{_HEAD}(?:in|near|into|through|across|visit(?:ed|ing)?|throughout|around|outside|inside|southern|northern|eastern"
    rf"|western|central|north|south|east|west|downtown|(?:city|town|village|county|state|republic|capital|part|north|south|east"
    rf"|west) of|leav(?:e|ing)|reach(?:ed)?|(?<!heard )(?<!call )(?<!message )(?<!letter )(?<!email )(?<!note )from"
    rf"|(?:go|goes|going|went|gone|travel(?:l?ing|l?ed)?|mov(?:e|ed|ing)|fl(?:y|ew|ying|own|ight)|return(?:ed|ing)?|back"
    rf"|driv(?:e|ing)|drove|trip|com(?:e|ing)|came|relocat(?:ed|ing)|deported|arriv(?:ed|ing)|welcome|way|visit)(?: here| back)? to"
    rf"|arrived at)[ \n](?:the )?\Z"
)
"""A place may follow."""

PLACE_BEHIND: Final = re.compile(
    r"(?:'s|’s)? (?:city|town|bridge|airport|rivers?|county|province|region|district|area|station|beach(?:es)?|islands?|lake|government"
    r"|border|embassy|weather|metro|harbou?r|valley|mountains|downtown|suburbs?|coast|peninsula|was (?:super )?(?:fun|great|beautiful)"
    r" to visit|is the capital)(?![a-z])"
)
"""A place stands before it."""

AT_FIRM: Final = re.compile(
    rf"{_HEAD}(?:work(?:s|ed|ing)? (?:for|at|with)|employ(?:ed|ee|ees|er)(?: (?:by|at|of|is|was))?:?|employer:|company:|organi[sz]ation:"
    r"|joined|hired by|fired from|retired from|(?:year|years|months|job|career|internship|position|role|meet(?:ing)?) at|at|with"
    r"|insured (?:by|with)|insurance:|carrier:|customer of|client of|division of|subsidiary of|owned by)[ \n](?:the )?\Z"
)
"""An organisation may follow."""

SURE_FIRM: Final = re.compile(
    rf"{_HEAD}(?:work(?:s|ed|ing)? (?:for|at)|employed (?:by|at)|employer(?: is|:)?|company:|organi[sz]ation:|joined|hired by"
    r"|(?:year|years|months|job|career|internship|position) at|customer of|client of|subsidiary of)[ \n](?:the )?\Z"
)

FIRM_BEHIND: Final = re.compile(
    r"(?:'s|’s)? (?:offices?|headquarters|hq|orchestra|songwriter|resignation|employees?|staff|ceo|cfo|cto|founders?|customers?|stores?"
    r"|branch(?:es)?|shares|stock|website|products?|services?|team|spokes(?:man|woman|person)|factory|warehouse|campus|is (?:a|an|the)"
    r" (?:[a-z-]+ ){0,3}(?:agency|company|firm|startup|start-up|brainchild|bank|insurer|retailer|manufacturer|provider|business|maker"
    r"|organi[sz]ation|non-?profit|charity|brand|supplier|consultancy))(?![a-z])",
    re.IGNORECASE,
)
"""An organisation stands before it."""

CLINICAL: Final = re.compile(
    r"(?:'s|’s|['’])?[ -](?:disease|syndrome|sign|test|palsy|scale|score|criteria|classification|fracture|lymphoma|thyroiditis|tumou?r"
    r"|procedure|operation|maneuver|manoeuvre|reflex|esophagus|oesophagus|phenomenon|chorea|ulcer|cells?|contracture|node|nodes|tube"
    r"|catheter|solution|law|effect|method|stain|agar|virus|fever|dementia|monitor|coma|position|valve|duct|gland|loop|bodies|body"
    r"|triad|point|cyst|hernia|dystrophy|ataxia|anemia|anaemia|sarcoma|nephropathy|cirrhosis|ring|space|vaccine|curve|model"
    r"|correlation|exact|estimator|regression|plot|correction|stage|staging|grade|index|lactate|scan|negative|positive)s?(?![a-z])",
    re.IGNORECASE,
)
"""What bears a physician's name and names no patient."""

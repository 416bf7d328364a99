"""The verifier's sentences in Chinese, by their English templates."""

from collections.abc import Mapping
from typing import Final

from audit.verifier.failures import ENGLISH

KINDS: Final = {
    "changed": "条目被改动(changed)",
    "removed": "条目被删除(removed)",
    "inserted": "条目被插入(inserted)",
    "swapped": "条目被对调(swapped)",
    "truncated": "日志被截断(truncated)",
    "forked": "日志分叉(forked)",
    "malformed": "格式有误(malformed)",
    "tile": "哈希瓦片被改动(tile)",
    "signature": "签名无效(signature)",
    "checkpoint": "检查点无效(checkpoint)",
    "handover": "密钥交接无效(handover)",
    "key": "由另一公钥签署(key)",
    "lost": "部分条目丢失(lost)",
    "proof": "证明无效(proof)",
    "quorum": "见证不足(quorum)",
    "missing_file": "缺少文件(missing_file)",
    "foreign_file": "不属于日志的文件(foreign_file)",
}
"""Every kind of failure that there is."""

_VERDICTS: Final = {
    "Whole: {} entries of {} under {} checkpoint(s), root {}": "完整:{1} 共 {0} 条,符合 {2} 个检查点,根 {3}",
    "{}; {} of them pruned": "{};其中 {} 条已按期清除",
    "{}; cosigned by {}": "{};联署方 {}",
    "In the log: entry {} of {} of {}": "在日志中:{2} 共 {1} 条,此为第 {0} 条(从 0 数起)",
    "Signed by the log's key: {}": "由日志的密钥签署:{}",
    "{}; final at the latest at {}": "{};最迟于 {} 成为最终",
    "Consistent: {} entries of {} extend {}": "一致:{1} 的 {0} 条是前 {2} 条的延续",
    "Agree: {} on {} entries, {} on {} entries of {}": "相符:{4},{0} 见证 {1} 条,{2} 见证 {3} 条",
    "NOT VERIFIED with this key: {}: {}": "以此公钥无法校验:{}:{}",
    "NOT WHOLE{}{}: {}: {}{}": "不完整{}{}:{}:{}{}",
    " at entry {}": ",条目 {}(从 0 数起)",
    " [first bad entry within {} to {}]": "[第一个有问题的条目在 {} 至 {} 之间]",
}

_LOG: Final = {
    "an entry was changed or replaced": "条目被改动或替换",
    "an entry was removed": "有条目被删除",
    "an entry was inserted": "有条目被插入",
    "two entries were swapped": "两个条目被对调",
    "the entries end before the checkpoint": "条目数少于检查点所签",
    "the bytes in a bundle are no entry": "条目包中的字节不成条目",
    "entries and hash tiles were both altered; the place is known as far as the checkpoints tell": (
        "条目与哈希瓦片都被改动;位置只能由检查点推定"
    ),
    "another log of {} entries was signed with the same key": "同一密钥签署过另一份 {} 条的日志",
    "an entry is larger than {} bytes": "条目大于 {} 字节",
    "bytes stand in a bundle after its last entry": "条目包在最后一条之后还有字节",
    "the bytes of an entry are gone, and no later entry says that it was pruned": (
        "条目原文缺失,而其后没有条目说明已按期清除"
    ),
    "it says that entries before {} were pruned, but entry {} was not six months old": (
        "此条目称 {} 之前的条目已按期清除,但其中条目 {} 当时未满六个月"
    ),
    "{} was altered; the entries themselves are whole": "{} 被改动;条目本身完整",
    "a checkpoint over {} entries was signed, the export ends after {}": "曾签署 {} 条的检查点,导出只有 {} 条",
    "{} states nothing of this checkpoint": "{} 未就此检查点作出陈述",
    "{} is not the first entry of this log": "{} 不是本日志的第一条",
    "{} of {} entries survive and are those of the root that {} states; {} are missing": (
        "{1} 条中尚存 {0} 条,与 {2} 所述的根相符;缺失 {3} 条"
    ),
    "an entry is not canonical": "条目不是规范编码",
    "an entry's id was used before": "条目编号重复",
    "an entry stands beyond the checkpoint": "检查点之外还有条目",
    "the export lacks {}": "导出缺少 {}",
    "the export ends after {} entries": "导出只有 {} 条",
    "{} is no regular file": "{} 不是普通文件",
    "{} is larger than {} bytes": "{} 大于 {} 字节",
    "{} does not belong to the log": "{} 不属于日志",
    "later checkpoint {}": "第 {} 个另存的检查点",
    "line {} of {}": "{1} 第 {0} 行",
    "{}: {}": "{}:{}",
    "{}: not a note in JSON": "{}:不是 JSON 形式的签名文本",
}

_NOTES: Final = {
    "the note is not UTF-8": "签名文本不是 UTF-8",
    "the file is no signed note": "文件不是签名文本",
    "the note carries more than {} signatures": "签名多于 {} 个",
    "a signature line of the note is malformed": "签名行格式有误",
    "the checkpoint is signed by another key (id {}), not by {}": "检查点由另一公钥(编号 {0})签署,而非 {1}",
    "the checkpoint carries no signature by {}": "检查点没有 {} 的签名",
    "the checkpoint's signature by {} is bad": "{} 在检查点上的签名无效",
    "the cosignature by {} is bad": "{} 的联署无效",
    "the checkpoint belongs to another log than the key": "检查点与密钥不属于同一日志",
    "the note is no checkpoint": "签名文本不是检查点",
    "the checkpoint's root is not 32 bytes in base64": "检查点的根不是 32 字节的 base64",
    "the note is no hand-over of a key": "签名文本不是密钥交接",
    "a hand-over needs two keys of the one log": "密钥交接须是同一日志的两个密钥",
    "the hand-over is not signed by {}": "密钥交接缺少 {} 的有效签名",
    "the hand-overs do not follow one from the other": "各次密钥交接前后不相接",
    "a key that was retired came back": "已停用的密钥再次出现",
    "the hand-overs do not lead to the key {}": "密钥交接与公钥 {} 不相连",
    "there are more than {} hand-overs": "密钥交接多于 {} 次",
    "a retired key signed {} entries, its last were {}": "已停用的密钥签署了 {} 条,其任期止于 {} 条",
    "a key signed {} entries, before its first {}": "密钥签署了 {} 条,其任期始于 {} 条",
}

_PROOFS: Final = {
    "index {} lies outside a tree of {}": "序号 {} 超出 {} 条的树",
    "that a tree of {} extends one of {} cannot be proven": "{} 条的树是否延续 {} 条的树,无从证明",
    "a proof of {} hashes stands where {} are needed": "证明有 {} 个哈希,应为 {} 个",
    "a hash is not 32 bytes long": "哈希不是 32 字节",
    "inclusion proof does not lead to the root": "包含证明推不出根",
    "two trees of one size have different roots": "两棵同样大小的树根不同",
    "consistency proof does not lead to the first root": "一致性证明推不出前一个根",
    "consistency proof does not lead to the second root": "一致性证明推不出后一个根",
    "the file is no proof of an entry": "文件不是条目的证明",
    "the proof's extra data is malformed": "证明的附加数据格式有误",
    "the proof has more than {} hashes": "证明的哈希多于 {} 个",
    "a hash of the proof is malformed": "证明中的哈希格式有误",
    "an entry has 1 to {} bytes": "条目须为 1 至 {} 字节",
    "the checkpoints are of two logs": "两个检查点属于不同日志",
    "two logs of {} entries were signed with the same key": "同一密钥签署了两份 {} 条的日志",
    "FORK: two logs of {} entries were signed and cosigned; evidence: {}": (
        "分叉:两份 {} 条的日志均已签署并联署;证据:{}"
    ),
    "the file is no certificate": "此文件不是证明",
    "no given key signed the certificate": "所给公钥均未签署此证明",
    "no witness of the policy cosigned the checkpoint": "没有策略所列的见证方联署此检查点",
    "{} known witness(es) cosigned, which is no quorum {}": "有 {} 个已知见证方联署,未达到 {} 的要求",
    "no log of the policy signed the checkpoint": "检查点不是策略所列日志签署的",
}

_INPUT: Final = {
    "DIR is not a folder": "DIR 不是文件夹",
    "{} cannot be read: {}": "无法读取 {}:{}",
    "the key file is not UTF-8": "公钥文件不是 UTF-8",
    "OLD covers more entries than NEW": "OLD 的条目比 NEW 多",
    "checkpoints of two sizes need --proof or --export": "大小不同的检查点需要 --proof 或 --export",
    "not an Ed25519 verifier key of the form name+hash+base64": "不是 name+hash+base64 形式的 Ed25519 公钥",
    "the verifier key is not a log's key (type 1)": "公钥不是日志的(类型 1)",
    "the verifier key is not a witness's key (type 4)": "公钥不是见证方的(类型 4)",
    "the verifier key's hash does not fit its name and material": "公钥的校验值与名称、内容不符",
    "a key is not printable": "公钥含不可见字符",
    "the key stands there already": "公钥重复",
    "more than {} keys of a kind": "同类公钥多于 {} 个",
    "a threshold is all, any, or a number from 1 to that of the members": "阈值须为 all、any 或 1 至成员数之间的数",
    "the policy is larger than {} bytes": "策略文件大于 {} 字节",
    "the policy names no quorum": "策略没有 quorum 行",
    "a control character": "含控制字符",
    "not one of log, witness, group, quorum": "须为 log、witness、group、quorum 之一",
    "a log has a key and at most a URL": "log 行只含公钥与可选的网址",
    "a witness has a name, a key and at most a URL": "witness 行只含名称、公钥与可选的网址",
    "a group has a name, a threshold and members": "group 行须有名称、阈值与成员",
    "more than {} groups": "组多于 {} 个",
    "one quorum with one name is needed": "须有且只有一个 quorum,后跟一个名称",
    "the name is taken": "名称已被使用",
    "a name is not defined on a line before": "名称在前面没有定义",
    "a member is listed twice": "成员重复",
    "line {} of the policy: {}": "策略第 {} 行:{}",
}

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": ENGLISH,
    "zh": {**KINDS, **_VERDICTS, **_LOG, **_NOTES, **_PROOFS, **_INPUT},
}
"""Translated templates by language."""

"""Chinese characters that sound alike, as a phonetic input method confuses them.

The 3,755 common characters of GB 2312-80 (its level 1, rows 16 to 55) stand in the order of their
sound, so the character that begins each syllable is all that there is to know. Tones are set aside,
as they are in typing; a character has the one reading that the standard files it under.
"""

from __future__ import annotations

from functools import cache

_FIRST_OF_SYLLABLE = (
    "啊埃鞍肮凹芭白斑邦苞杯奔崩逼鞭标鳖彬兵玻捕擦猜餐苍操厕层插拆搀昌超车郴撑吃充抽初揣川疮吹"
    "春戳疵聪凑粗蹿摧村磋搭大耽当刀德蹬堤颠碉跌丁丢东兜都端堆墩掇蛾恩而发藩坊菲芬丰佛否夫噶该"
    "干冈篙哥给根耕工钩辜刮乖棺光瑰辊锅哈骸酣夯壕呵嘿痕哼轰喉呼花槐欢荒灰荤豁击嘉歼僵蕉揭巾劲"
    "炯揪鞠捐撅均喀开刊康考坷肯坑空抠枯夸块宽匡亏坤括垃莱蓝琅捞勒雷棱厘俩联粮撩列琳拎溜龙楼芦"
    "驴峦掠抡萝妈埋瞒芒猫么玫门萌眯棉苗蔑民明谬摸谋拇拿氖南囊挠呢馁嫩能妮蔫娘鸟捏您柠牛脓奴女"
    "暖虐挪哦欧啪拍攀乓抛呸喷砰坯篇飘撇拼聘坡扑期掐牵枪橇切钦青琼秋趋圈缺裙然瓤饶惹壬扔日戎揉"
    "肉软蕊闰若撒腮三桑搔瑟森僧莎筛珊墒梢奢砷声师收蔬刷摔栓霜谁吮说斯松搜苏酸虽孙蓑塌胎坍汤掏"
    "特藤梯天挑贴厅通偷凸湍推吞拖挖歪豌汪威瘟嗡挝巫昔瞎掀相萧楔薪星兄休墟轩靴勋压焉殃邀椰一茵"
    "英哟拥幽迂鸳曰耘匝栽咱赃遭责贼怎增扎摘瞻樟招遮珍蒸芝中舟珠抓拽专桩椎谆捉兹鬃邹租钻嘴尊昨"
)
_FIRST_ROW, _LAST_ROW = 0xB0, 0xD7


@cache
def same_sound() -> dict[str, str]:
    """For each common simplified character the others of its syllable; none: it is left out."""
    begins, groups = set(_FIRST_OF_SYLLABLE), list[str]()
    for character in _level_one():
        if character in begins:
            groups.append("")
        groups[-1] += character
    return {
        character: group.replace(character, "")
        for group in groups
        if len(group) > 1
        for character in group
    }


def _level_one() -> str:
    codes = (
        bytes((row, column))
        for row in range(_FIRST_ROW, _LAST_ROW + 1)
        for column in range(0xA1, 0xFF)
    )
    return b"".join(codes).decode("gb2312", "ignore")  # the last row is not full

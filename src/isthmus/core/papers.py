"""The papers that recipes, parts and optimisers come from, by the links that name them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

RECORRUPTED = "https://openaccess.thecvf.com/content/CVPR2021/html/Pang_Recorrupted-to-Recorrupted_Unsupervised_Deep_Learning_for_Image_Denoising_CVPR_2021_paper.html"
SMALL_WORDS = {"an", "on", "the"}


@dataclass(frozen=True)
class Paper:
    """A reference.

    Parameters
    ----------
    authors : str
        As BibTeX has them: "Vincent, Pascal and Larochelle, Hugo".
    title : str
    year : int
        Of the venue, or of arXiv's first version.
    venue : str
        A journal, a conference, a publisher, or where else it can be read; empty for arXiv.
    kind : str
        "article", "inproceedings", "book" or "misc", as BibTeX has them.
    """

    authors: str
    title: str
    year: int
    venue: str = ""
    kind: str = "misc"

    @property
    def families(self) -> list[str]:
        """The family names of the authors."""
        return [author.partition(",")[0] for author in self.authors.split(" and ")]

    @property
    def short(self) -> str:
        """``Vincent et al. 2008``, or both names where there are two."""
        first, *others = self.families
        names = f"{first} et al." if len(others) > 1 else " & ".join([first, *others])
        return f"{names} {self.year}"

    @property
    def key(self) -> str:
        """``vincent2008extracting``: family, year and the first long word of the title."""
        words = re.findall(r"\w+", _ascii(self.title).lower().replace("'", ""))
        word = next(word for word in words if len(word) > 1 and word not in SMALL_WORDS)
        family = re.sub(r"\W", "", _ascii(self.families[0])).lower()
        return f"{family}{self.year}{word}"


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


NEURIPS = "Advances in Neural Information Processing Systems"
ICML = "International Conference on Machine Learning"
JMLR = "Journal of Machine Learning Research"

PAPERS: dict[str, Paper] = {
    # ---------------------------------------------------------------- plain methods and starts
    "https://doi.org/10.1080/14786440109462720": Paper(
        "Pearson, Karl",
        "On lines and planes of closest fit to systems of points in space",
        1901,
        "The London, Edinburgh, and Dublin Philosophical Magazine and Journal of Science",
        "article",
    ),
    "https://doi.org/10.1016/0893-6080(89)90014-2": Paper(
        "Baldi, Pierre and Hornik, Kurt",
        "Neural networks and principal component analysis: Learning from examples without local "
        "minima",
        1989,
        "Neural Networks",
        "article",
    ),
    "https://arxiv.org/abs/0909.4061": Paper(
        "Halko, Nathan and Martinsson, Per-Gunnar and Tropp, Joel A.",
        "Finding structure with randomness: Probabilistic algorithms for constructing approximate "
        "matrix decompositions",
        2011,
        "SIAM Review",
        "article",
    ),
    "https://doi.org/10.1098/rsta.2015.0202": Paper(
        "Jolliffe, Ian T. and Cadima, Jorge",
        "Principal component analysis: a review and recent developments",
        2016,
        "Philosophical Transactions of the Royal Society A",
        "article",
    ),
    "https://doi.org/10.1111/j.2517-6161.1977.tb01600.x": Paper(
        "Dempster, Arthur P. and Laird, Nan M. and Rubin, Donald B.",
        "Maximum Likelihood from Incomplete Data via the EM Algorithm",
        1977,
        "Journal of the Royal Statistical Society: Series B",
        "article",
    ),
    "https://doi.org/10.1111/1467-9868.00196": Paper(
        "Tipping, Michael E. and Bishop, Christopher M.",
        "Probabilistic Principal Component Analysis",
        1999,
        "Journal of the Royal Statistical Society: Series B",
        "article",
    ),
    "https://doi.org/10.1007/BF00117832": Paper(
        "Breiman, Leo",
        "Stacked Regressions",
        1996,
        "Machine Learning",
        "article",
    ),
    "https://doi.org/10.1080/01621459.2017.1307116": Paper(
        "Lei, Jing and G'Sell, Max and Rinaldo, Alessandro and Tibshirani, Ryan J. and "
        "Wasserman, Larry",
        "Distribution-Free Predictive Inference for Regression",
        2018,
        "Journal of the American Statistical Association",
        "article",
    ),
    "https://doi.org/10.1080/01621459.2017.1395341": Paper(
        "Sadinle, Mauricio and Lei, Jing and Wasserman, Larry",
        "Least Ambiguous Set-Valued Classifiers With Bounded Error Levels",
        2019,
        "Journal of the American Statistical Association",
        "article",
    ),
    # ---------------------------------------------------------------- networks
    "https://arxiv.org/abs/1512.03385": Paper(
        "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
        "Deep Residual Learning for Image Recognition",
        2016,
        "Conference on Computer Vision and Pattern Recognition",
        "inproceedings",
    ),
    "https://doi.org/10.1038/323533a0": Paper(
        "Rumelhart, David E. and Hinton, Geoffrey E. and Williams, Ronald J.",
        "Learning representations by back-propagating errors",
        1986,
        "Nature",
        "article",
    ),
    "https://doi.org/10.1126/science.1127647": Paper(
        "Hinton, Geoffrey E. and Salakhutdinov, Ruslan R.",
        "Reducing the Dimensionality of Data with Neural Networks",
        2006,
        "Science",
        "article",
    ),
    "https://arxiv.org/abs/1502.01852": Paper(
        "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
        "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet "
        "Classification",
        2015,
    ),
    "https://arxiv.org/abs/1603.05027": Paper(
        "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
        "Identity Mappings in Deep Residual Networks",
        2016,
    ),
    "https://arxiv.org/abs/1607.06450": Paper(
        "Ba, Jimmy Lei and Kiros, Jamie Ryan and Hinton, Geoffrey E.",
        "Layer Normalization",
        2016,
    ),
    # ---------------------------------------------------------------- denoising, sparsity, order
    "https://doi.org/10.1145/1390156.1390294": Paper(
        "Vincent, Pascal and Larochelle, Hugo and Bengio, Yoshua and Manzagol, Pierre-Antoine",
        "Extracting and composing robust features with denoising autoencoders",
        2008,
        ICML,
        "inproceedings",
    ),
    "https://jmlr.org/papers/v11/vincent10a.html": Paper(
        "Vincent, Pascal and Larochelle, Hugo and Lajoie, Isabelle and Bengio, Yoshua and "
        "Manzagol, Pierre-Antoine",
        "Stacked Denoising Autoencoders: Learning Useful Representations in a Deep Network with a "
        "Local Denoising Criterion",
        2010,
        JMLR,
        "article",
    ),
    "https://arxiv.org/abs/2111.06377": Paper(
        "He, Kaiming and Chen, Xinlei and Xie, Saining and Li, Yanghao and Dollár, Piotr and "
        "Girshick, Ross",
        "Masked Autoencoders Are Scalable Vision Learners",
        2021,
    ),
    "https://doi.org/10.1186/s40537-019-0197-0": Paper(
        "Shorten, Connor and Khoshgoftaar, Taghi M.",
        "A survey on Image Data Augmentation for Deep Learning",
        2019,
        "Journal of Big Data",
        "article",
    ),
    "https://arxiv.org/abs/1910.02190": Paper(
        "Riba, Edgar and Mishkin, Dmytro and Ponsa, Daniel and Rublee, Ethan and Bradski, Gary",
        "Kornia: an Open Source Differentiable Computer Vision Library for PyTorch",
        2020,
        "Winter Conference on Applications of Computer Vision",
        "inproceedings",
    ),
    "https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf": Paper(
        "Ng, Andrew", "Sparse autoencoder", 2011, "CS294A Lecture notes, Stanford University"
    ),
    "https://arxiv.org/abs/1312.5663": Paper(
        "Makhzani, Alireza and Frey, Brendan", "k-Sparse Autoencoders", 2013
    ),
    "https://icml.cc/2011/papers/455_icmlpaper.pdf": Paper(
        "Rifai, Salah and Vincent, Pascal and Muller, Xavier and Glorot, Xavier and Bengio, Yoshua",
        "Contractive Auto-Encoders: Explicit Invariance During Feature Extraction",
        2011,
        ICML,
        "inproceedings",
    ),
    "https://doi.org/10.1080/03610919008812866": Paper(
        "Hutchinson, Michael F.",
        "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing "
        "splines",
        1990,
        "Communications in Statistics - Simulation and Computation",
        "article",
    ),
    "https://arxiv.org/abs/1402.0915": Paper(
        "Rippel, Oren and Gelbart, Michael A. and Adams, Ryan P.",
        "Learning Ordered Representations with Nested Dropout",
        2014,
    ),
    "https://arxiv.org/abs/2205.13147": Paper(
        "Kusupati, Aditya and Bhatt, Gantavya and Rege, Aniket and Wallingford, Matthew and "
        "Sinha, Aditya and Ramanujan, Vivek and Howard-Snyder, William and Chen, Kaifeng and "
        "Kakade, Sham and Jain, Prateek and Farhadi, Ali",
        "Matryoshka Representation Learning",
        2022,
    ),
    # ---------------------------------------------------------------- variational codes
    "https://arxiv.org/abs/1312.6114": Paper(
        "Kingma, Diederik P. and Welling, Max", "Auto-Encoding Variational Bayes", 2013
    ),
    "https://openreview.net/forum?id=Sy2fzU9gl": Paper(
        "Higgins, Irina and Matthey, Loic and Pal, Arka and Burgess, Christopher and "
        "Glorot, Xavier and Botvinick, Matthew and Mohamed, Shakir and Lerchner, Alexander",
        "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework",
        2017,
        "International Conference on Learning Representations",
        "inproceedings",
    ),
    "https://arxiv.org/abs/1509.00519": Paper(
        "Burda, Yuri and Grosse, Roger and Salakhutdinov, Ruslan",
        "Importance Weighted Autoencoders",
        2015,
    ),
    "https://arxiv.org/abs/1911.02469": Paper(
        "Lucas, James and Tucker, George and Grosse, Roger and Norouzi, Mohammad",
        "Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse",
        2019,
        NEURIPS,
        "inproceedings",
    ),
    "https://arxiv.org/abs/2006.13202": Paper(
        "Rybkin, Oleh and Daniilidis, Kostas and Levine, Sergey",
        "Simple and Effective VAE Training with Calibrated Decoders",
        2021,
        ICML,
        "inproceedings",
    ),
    # ---------------------------------------------------------------- discrete codes
    "https://arxiv.org/abs/1711.00937": Paper(
        "van den Oord, Aaron and Vinyals, Oriol and Kavukcuoglu, Koray",
        "Neural Discrete Representation Learning",
        2017,
        NEURIPS,
        "inproceedings",
    ),
    "https://arxiv.org/abs/2309.15505": Paper(
        "Mentzer, Fabian and Minnen, David and Agustsson, Eirikur and Tschannen, Michael",
        "Finite Scalar Quantization: VQ-VAE Made Simple",
        2023,
    ),
    "https://doi.org/10.1109/TPAMI.2010.57": Paper(
        "Jégou, Hervé and Douze, Matthijs and Schmid, Cordelia",
        "Product Quantization for Nearest Neighbor Search",
        2011,
        "IEEE Transactions on Pattern Analysis and Machine Intelligence",
        "article",
    ),
    "https://doi.org/10.1109/TIT.1981.1056331": Paper(
        "Krichevsky, Raphail E. and Trofimov, Victor K.",
        "The performance of universal encoding",
        1981,
        "IEEE Transactions on Information Theory",
        "article",
    ),
    # ---------------------------------------------------------------- codes matched to a prior
    "https://arxiv.org/abs/1511.05644": Paper(
        "Makhzani, Alireza and Shlens, Jonathon and Jaitly, Navdeep and Goodfellow, Ian and "
        "Frey, Brendan",
        "Adversarial Autoencoders",
        2015,
    ),
    "https://arxiv.org/abs/1711.01558": Paper(
        "Tolstikhin, Ilya and Bousquet, Olivier and Gelly, Sylvain and Schölkopf, Bernhard",
        "Wasserstein Auto-Encoders",
        2017,
    ),
    "https://arxiv.org/abs/1706.02262": Paper(
        "Zhao, Shengjia and Song, Jiaming and Ermon, Stefano",
        "InfoVAE: Information Maximizing Variational Autoencoders",
        2017,
    ),
    # ---------------------------------------------------------------- likelihoods
    "https://doi.org/10.1080/01621459.1984.10477105": Paper(
        "Rousseeuw, Peter J.",
        "Least Median of Squares Regression",
        1984,
        "Journal of the American Statistical Association",
        "article",
    ),
    "https://doi.org/10.1007/978-1-4684-8574-5": Paper(
        "Bloomfield, Peter and Steiger, William L.",
        "Least Absolute Deviations: Theory, Applications, and Algorithms",
        1983,
        "Birkhäuser",
        "book",
    ),
    "https://arxiv.org/abs/1807.03653": Paper(
        "Nazabal, Alfredo and Olmos, Pablo M. and Ghahramani, Zoubin and Valera, Isabel",
        "Handling Incomplete Heterogeneous Data using VAEs",
        2020,
        "Pattern Recognition",
        "article",
    ),
    "https://doi.org/10.1038/s41592-018-0229-2": Paper(
        "Lopez, Romain and Regier, Jeffrey and Cole, Michael B. and Jordan, Michael I. and "
        "Yosef, Nir",
        "Deep generative modeling for single-cell transcriptomics",
        2018,
        "Nature Methods",
        "article",
    ),
    "https://doi.org/10.1038/s41467-018-07931-2": Paper(
        "Eraslan, Gökcen and Simon, Lukas M. and Mircea, Maria and Mueller, Nikola S. and "
        "Theis, Fabian J.",
        "Single-cell RNA-seq denoising using a deep count autoencoder",
        2019,
        "Nature Communications",
        "article",
    ),
    # ---------------------------------------------------------------- training
    "https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf": Paper(
        "Tieleman, Tijmen and Hinton, Geoffrey",
        "Lecture 6.5: rmsprop: Divide the gradient by a running average of its recent magnitude",
        2012,
        "COURSERA: Neural Networks for Machine Learning",
    ),
    "https://proceedings.mlr.press/v28/sutskever13.html": Paper(
        "Sutskever, Ilya and Martens, James and Dahl, George and Hinton, Geoffrey",
        "On the importance of initialization and momentum in deep learning",
        2013,
        ICML,
        "inproceedings",
    ),
    "https://arxiv.org/abs/1412.6980": Paper(
        "Kingma, Diederik P. and Ba, Jimmy", "Adam: A Method for Stochastic Optimization", 2014
    ),
    "https://arxiv.org/abs/1711.05101": Paper(
        "Loshchilov, Ilya and Hutter, Frank", "Decoupled Weight Decay Regularization", 2017
    ),
    "https://arxiv.org/abs/1708.07120": Paper(
        "Smith, Leslie N. and Topin, Nicholay",
        "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
        2017,
    ),
    "https://doi.org/10.1145/342009.335437": Paper(
        "Ramaswamy, Sridhar and Rastogi, Rajeev and Shim, Kyuseok",
        "Efficient algorithms for mining outliers from large data sets",
        2000,
    ),
    "https://doi.org/10.1007/BF00058655": Paper("Breiman, Leo", "Bagging predictors", 1996),
    "https://doi.org/10.1109/34.709601": Paper(
        "Ho, Tin Kam", "The random subspace method for constructing decision forests", 1998
    ),
    "https://arxiv.org/abs/2302.06675": Paper(
        "Chen, Xiangning and Liang, Chen and Huang, Da and Real, Esteban and Wang, Kaiyuan and "
        "Liu, Yao and Pham, Hieu and Dong, Xuanyi and Luong, Thang and Hsieh, Cho-Jui and "
        "Lu, Yifeng and Le, Quoc V.",
        "Symbolic Discovery of Optimization Algorithms",
        2023,
    ),
    "https://arxiv.org/abs/2405.13698": Paper(
        "Wang, Xi and Aitchison, Laurence",
        "How to set AdamW's weight decay as you scale model and dataset size",
        2024,
    ),
    "https://arxiv.org/abs/1809.02736": Paper(
        "Minnen, David and Ballé, Johannes and Toderici, George",
        "Joint Autoregressive and Hierarchical Priors for Learned Image Compression",
        2018,
        "Advances in Neural Information Processing Systems",
        "inproceedings",
    ),
    "https://arxiv.org/abs/2007.08739": Paper(
        "Minnen, David and Singh, Saurabh",
        "Channel-wise Autoregressive Entropy Models for Learned Image Compression",
        2020,
        "IEEE International Conference on Image Processing",
        "inproceedings",
    ),
    "https://arxiv.org/abs/1701.05517": Paper(
        "Salimans, Tim and Karpathy, Andrej and Chen, Xi and Kingma, Diederik P.",
        "PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other "
        "Modifications",
        2017,
        "International Conference on Learning Representations",
        "inproceedings",
    ),
    "https://arxiv.org/abs/1712.05877": Paper(
        "Jacob, Benoit and Kligys, Skirmantas and Chen, Bo and Zhu, Menglong and Tang, Matthew and "
        "Howard, Andrew and Adam, Hartwig and Kalenichenko, Dmitry",
        "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only "
        "Inference",
        2018,
        "IEEE Conference on Computer Vision and Pattern Recognition",
        "inproceedings",
    ),
    "https://arxiv.org/abs/1505.04597": Paper(
        "Ronneberger, Olaf and Fischer, Philipp and Brox, Thomas",
        "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        2015,
        "Medical Image Computing and Computer-Assisted Intervention",
        "inproceedings",
    ),
    "https://arxiv.org/abs/2008.13751": Paper(
        "Zhang, Kai and Li, Yawei and Zuo, Wangmeng and Zhang, Lei and Van Gool, Luc and Timofte, "
        "Radu",
        "Plug-and-Play Image Restoration with Deep Denoiser Prior",
        2021,
        "IEEE Transactions on Pattern Analysis and Machine Intelligence",
        "article",
    ),
    "https://arxiv.org/abs/1906.05478": Paper(
        "Mohan, Sreyas and Kadkhodaie, Zahra and Simoncelli, Eero P. and Fernandez-Granda, Carlos",
        "Robust and Interpretable Blind Image Denoising via Bias-Free Convolutional Neural "
        "Networks",
        2020,
        "International Conference on Learning Representations",
        "inproceedings",
    ),
    "https://arxiv.org/abs/1811.10980": Paper(
        "Krull, Alexander and Buchholz, Tim-Oliver and Jug, Florian",
        "Noise2Void - Learning Denoising from Single Noisy Images",
        2019,
        "IEEE Conference on Computer Vision and Pattern Recognition",
        "inproceedings",
    ),
    "https://arxiv.org/abs/1901.11365": Paper(
        "Batson, Joshua and Royer, Loic",
        "Noise2Self: Blind Denoising by Self-Supervision",
        2019,
        "International Conference on Machine Learning",
        "inproceedings",
    ),
    "https://doi.org/10.5201/ipol.2013.45": Paper(
        "Colom, Miguel and Buades, Antoni",
        "Analysis and Extension of the Ponomarenko et al. Method, Estimating a Noise Curve from a "
        "Single Image",
        2013,
        "Image Processing On Line",
        "article",
    ),
    "https://doi.org/10.1109/TIP.2003.819861": Paper(
        "Wang, Zhou and Bovik, Alan C. and Sheikh, Hamid R. and Simoncelli, Eero P.",
        "Image quality assessment: From error visibility to structural similarity",
        2004,
        "IEEE Transactions on Image Processing",
        "article",
    ),
    RECORRUPTED: Paper(
        "Pang, Tongyao and Zheng, Huan and Quan, Yuhui and Ji, Hui",
        "Recorrupted-to-Recorrupted: Unsupervised Deep Learning for Image Denoising",
        2021,
        "IEEE Conference on Computer Vision and Pattern Recognition",
        "inproceedings",
    ),
    "https://kellerjordan.github.io/posts/muon/": Paper(
        "Jordan, Keller and Jin, Yuchen and Boza, Vlado and You, Jiacheng and Cesista, Franz and "
        "Newhouse, Laker and Bernstein, Jeremy",
        "Muon: An optimizer for hidden layers in neural networks",
        2024,
        "Blog post",
    ),
}

OPTIMIZER_PAPERS = {
    "adamw": "https://arxiv.org/abs/1711.05101",
    "adam": "https://arxiv.org/abs/1412.6980",
    "sgd": "https://proceedings.mlr.press/v28/sutskever13.html",
    "rmsprop": "https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf",
    "lion": "https://arxiv.org/abs/2302.06675",
    "muon": "https://kellerjordan.github.io/posts/muon/",
}
"""Where each optimiser comes from."""
